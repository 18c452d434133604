-- Append a flush of KeyUsed events, one a key, each at its stream's head, unless this flush is stored already.
WITH flush AS (
    INSERT INTO keyledger.flushes (flush_id) VALUES (%(flush_id)s) ON CONFLICT DO NOTHING RETURNING flush_id
), batch AS (
    SELECT u.id, u.state, u.last_used_at, 1 + (
        SELECT e.originator_version FROM keyledger.events AS e
        WHERE e.originator_id = u.id ORDER BY e.originator_version DESC LIMIT 1
    ) AS version
    FROM flush, unnest(%(ids)s::uuid[], %(states)s::bytea[], %(last_used_ats)s::timestamptz[])
        AS u (id, state, last_used_at)
    ORDER BY u.id
), event AS (
    INSERT INTO keyledger.events (originator_id, originator_version, topic, state)
    SELECT id, version, %(topic)s, state FROM batch
), queued AS (
    INSERT INTO keyledger.outbox (originator_id, originator_version) SELECT id, version FROM batch
)
INSERT INTO keyledger.key_usage AS usage (id, last_used_at)
SELECT id, last_used_at FROM batch WHERE last_used_at IS NOT NULL
ON CONFLICT (id) DO UPDATE SET last_used_at = greatest(usage.last_used_at, excluded.last_used_at)
