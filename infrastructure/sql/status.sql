-- What an operator asks first.
SELECT
    current_setting('server_version'),
    current_database()::text,
    (SELECT max(version) FROM keyledger.migrations),
    (SELECT count(*) FROM keyledger.api_keys),
    (SELECT count(*) FROM keyledger.api_keys WHERE revoked_at IS NOT NULL),
    (SELECT count(*) FROM keyledger.outbox),
    (SELECT max(flushed_at) FROM keyledger.flushes),
    pg_total_relation_size('keyledger.events')
