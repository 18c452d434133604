-- The lifecycle events of a span of time, past any number of uses.
CREATE INDEX positions_lifecycle_time ON keyledger.positions (recorded_at) WHERE topic <> 'KeyUsed'
