-- What was done from an address; the addresses of uses are no actor's.
CREATE INDEX history_address ON keyledger.history (ip_address, topic, position) WHERE ip_address IS NOT NULL
