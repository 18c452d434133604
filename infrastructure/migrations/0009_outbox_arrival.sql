-- The sequencer takes the oldest arrivals first.
CREATE INDEX outbox_arrival ON keyledger.outbox (arrival)
