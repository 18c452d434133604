-- The keys that events had expire in a span of time, of those of a subject if one is given, in order; so many.
SELECT DISTINCT e.expiration, e.originator_id FROM keyledger.events AS e
WHERE e.expiration >= %(after_time)s AND e.expiration > %(since)s AND e.expiration <= %(until)s
    AND (e.expiration, e.originator_id) > (%(after_time)s, %(after)s)
    AND (%(subject)s::text IS NULL OR (
        SELECT true FROM keyledger.positions AS s
        WHERE s.subject = %(subject)s AND s.originator_id = e.originator_id LIMIT 1
    ))
ORDER BY e.expiration, e.originator_id LIMIT %(limit)s
