-- The positions of a span of time.
CREATE INDEX history_high ON keyledger.history (high_at, position)
