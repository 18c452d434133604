-- Append a flush of events of uses, one a key, each at its stream's head, and move the source's progress: from `start`,
-- or where that is NULL from anything below `until`; if it is elsewhere, this flush is stored already, or not to be.
-- What has no stream any more is left out; how many were appended is returned, no row if nothing was tried.
WITH flush AS (
    INSERT INTO keyledger.flushes AS f (flush_id, progress) VALUES (%(source)s, %(until)s)
    ON CONFLICT (flush_id) DO UPDATE SET progress = excluded.progress, flushed_at = excluded.flushed_at
    WHERE coalesce(f.progress = %(start)s::bigint, f.progress < excluded.progress)
    RETURNING flush_id
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
