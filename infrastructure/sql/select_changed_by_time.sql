-- The keys with lifecycle events that were recorded in a span of time and have a position up to another, of those of a
-- subject if one is given, each at the last of them; so many.
SELECT p.recorded_at, p.position, p.originator_id FROM keyledger.positions AS p
WHERE p.recorded_at >= %(after_time)s AND p.recorded_at <= %(until)s
    AND (p.recorded_at, p.position) > (%(after_time)s, %(after)s)
    AND p.position <= %(position)s AND p.topic <> 'KeyUsed'
    AND (
        SELECT true FROM keyledger.positions AS n
        WHERE n.originator_id = p.originator_id AND n.originator_version > p.originator_version
            AND n.topic <> 'KeyUsed' AND n.recorded_at >= %(since)s AND n.recorded_at <= %(until)s
            AND n.position <= %(position)s
        LIMIT 1
    ) IS NULL
    AND (%(subject)s::text IS NULL OR (
        SELECT true FROM keyledger.positions AS s
        WHERE s.subject = %(subject)s AND s.originator_id = p.originator_id LIMIT 1
    ))
ORDER BY p.recorded_at, p.position LIMIT %(limit)s
