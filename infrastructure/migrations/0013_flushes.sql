-- Flushes of uses that are stored: one that is sent again after a lost answer is stored once.
CREATE TABLE keyledger.flushes (
    flush_id uuid PRIMARY KEY,
    flushed_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
