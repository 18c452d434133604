-- The strays of a span of time, wherever they stand.
CREATE INDEX history_stray ON keyledger.history USING gist (tstzrange(first_at, last_at, '[]')) WHERE stray
