-- Append a flush of KeyUsed events, one a key, each at its stream's head, unless this flush is stored already.
-- A use whose stream is not there any more is left out; how many were appended is returned, NULL if nothing was tried.
WITH flush AS (
    INSERT INTO keyledger.flushes (flush_id) VALUES (md5(%(source)s::text || %(until)s::text)::uuid)
    ON CONFLICT DO NOTHING RETURNING flush_id
), batch AS (
    SELECT u.id, u.state, u.last_used_at, head.version
    FROM flush
    CROSS JOIN unnest(%(ids)b::uuid[], %(states)b::bytea[], %(last_used_ats)b::timestamptz[])
        AS u (id, state, last_used_at)
    CROSS JOIN LATERAL (
        SELECT e.originator_version + 1 AS version FROM keyledger.events AS e
        WHERE e.originator_id = u.id ORDER BY e.originator_version DESC LIMIT 1
    ) AS head
    ORDER BY u.id
), event AS (
    INSERT INTO keyledger.events (originator_id, originator_version, topic, state)
    SELECT id, version, %(topic)s, state FROM batch
), queued AS (
    INSERT INTO keyledger.outbox (originator_id, originator_version) SELECT id, version FROM batch
), usage AS (
    INSERT INTO keyledger.key_usage AS usage (id, last_used_at)
    SELECT id, last_used_at FROM batch WHERE last_used_at IS NOT NULL
    ON CONFLICT (id) DO UPDATE SET last_used_at = greatest(usage.last_used_at, excluded.last_used_at)
)
SELECT (SELECT count(*) FROM batch) FROM flush
