-- Of keys up to a position (NULL: all their events): the version and lateness of the last event, and the key's latest
-- accepted use. With a time, that of the events whose latest use is not after it, and from which version on it is.
-- That version is found by halving: the latest use up to an event never falls along a stream.
-- Both columns are in the order by position, or the planner may walk all positions backwards for a key with few.
WITH RECURSIVE past AS (
    SELECT key.id, head.version, head.last_used_at, head.lateness
    FROM unnest(%(ids)b::uuid[]) AS key (id)
    CROSS JOIN LATERAL (
        SELECT e.originator_version AS version, e.last_used_at, e.lateness FROM keyledger.events AS e
        WHERE e.originator_id = key.id AND e.originator_version <= CASE
            WHEN %(position)s::bigint IS NULL THEN 9223372036854775807
            ELSE (
                SELECT CASE WHEN p.originator_id = key.id THEN p.originator_version END
                FROM keyledger.positions AS p
                WHERE (p.originator_id, p.position) <= (key.id, %(position)s)
                ORDER BY p.originator_id DESC, p.position DESC LIMIT 1
            )
        END
        ORDER BY e.originator_version DESC LIMIT 1
    ) AS head
), search (id, low, high) AS (
    SELECT id, 0::bigint, version FROM past WHERE last_used_at > %(time)s::timestamptz
    UNION ALL
    SELECT
        s.id,
        CASE WHEN probe.is_later THEN s.low ELSE probe.version END,
        CASE WHEN probe.is_later THEN s.middle ELSE s.high END
    FROM (SELECT id, low, high, (low + high) / 2 AS middle FROM search WHERE high - low > 1) AS s
    CROSS JOIN LATERAL (
        SELECT e.originator_version AS version, coalesce(e.last_used_at > %(time)s::timestamptz, false) AS is_later
        FROM keyledger.events AS e
        WHERE e.originator_id = s.id AND e.originator_version >= s.middle
        ORDER BY e.originator_version LIMIT 1
    ) AS probe
)
SELECT
    past.id, past.version, past.lateness,
    CASE WHEN found.id IS NULL THEN past.last_used_at ELSE (
        SELECT e.last_used_at FROM keyledger.events AS e
        WHERE e.originator_id = found.id AND e.originator_version = found.low
    ) END,
    found.high
FROM past LEFT JOIN search AS found ON found.id = past.id AND found.high - found.low <= 1
