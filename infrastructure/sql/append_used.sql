-- Append a flush of KeyUsed events, one a key, each at its stream's head, unless this flush is stored already.
-- A use whose stream is not there any more is left out; how many were appended is returned, NULL if nothing was tried.
WITH flush AS (
    INSERT INTO keyledger.flushes (flush_id) VALUES (%(flush_id)s) ON CONFLICT DO NOTHING RETURNING flush_id
), batch AS (
    SELECT
        u.id, u.state, head.version,
        greatest(head.last_used_at, u.last_used_at) AS last_used_at,
        greatest(head.lateness, head.last_used_at - u.first_used_at, interval '0') AS lateness
    FROM flush
    CROSS JOIN unnest(
        %(ids)b::uuid[], %(states)b::bytea[], %(first_used_ats)b::timestamptz[], %(last_used_ats)b::timestamptz[]
    ) AS u (id, state, first_used_at, last_used_at)
    CROSS JOIN LATERAL (
        SELECT e.originator_version + 1 AS version, e.last_used_at, e.lateness FROM keyledger.events AS e
        WHERE e.originator_id = u.id ORDER BY e.originator_version DESC LIMIT 1
    ) AS head
    ORDER BY u.id
), event AS (
    INSERT INTO keyledger.events (originator_id, originator_version, topic, state, last_used_at, lateness)
    SELECT id, version, %(topic)s, state, last_used_at, lateness FROM batch
), queued AS (
    INSERT INTO keyledger.outbox (originator_id, originator_version, topic)
    SELECT id, version, %(topic)s FROM batch
)
SELECT (SELECT count(*) FROM batch) FROM flush
