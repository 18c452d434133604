-- Forget what was flushed long ago.
DELETE FROM keyledger.flushes WHERE flushed_at < clock_timestamp() - interval '30 days'
