-- How far each read model has come, how many committed events it lacks and since when it lacks the first of them, why
-- it has stopped, and how far a rebuild of it has come.
WITH waiting AS (
    SELECT
        (SELECT count(*) FROM keyledger.outbox) AS events,
        (
            SELECT e.recorded_at FROM keyledger.outbox AS o JOIN keyledger.events AS e
                USING (originator_id, originator_version)
            ORDER BY o.arrival LIMIT 1
        ) AS since
)
SELECT
    p.name,
    p.version,
    p.position,
    s.position - p.position + w.events,
    greatest(extract(epoch FROM clock_timestamp() - coalesce(next.recorded_at, w.since)), 0)::float8,
    p.failed_position,
    p.failed_at,
    p.failure,
    r.position
FROM keyledger.projections AS p
CROSS JOIN keyledger.sequencer AS s
CROSS JOIN waiting AS w
LEFT JOIN keyledger.positions AS next ON next.position = p.position + 1
LEFT JOIN keyledger.rebuilds AS r ON r.name = p.name AND r.switched_at IS NULL
ORDER BY p.name
