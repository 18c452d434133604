-- Forget flushes that nobody will send again.
DELETE FROM keyledger.flushes WHERE flushed_at < clock_timestamp() - interval '30 days'
