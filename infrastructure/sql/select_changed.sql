-- The keys with lifecycle events after a position and up to another, of those of a subject if one is given, each at the
-- last of them; so many.
SELECT p.position, p.originator_id FROM keyledger.positions AS p
WHERE p.position > %(after)s AND p.position <= %(until)s AND p.topic <> 'KeyUsed'
    AND coalesce((
        SELECT n.position FROM keyledger.positions AS n
        WHERE n.originator_id = p.originator_id AND n.originator_version > p.originator_version
            AND n.topic <> 'KeyUsed'
        ORDER BY n.originator_version LIMIT 1
    ) > %(until)s, true)
    AND (%(subject)s::text IS NULL OR (
        SELECT true FROM keyledger.positions AS s
        WHERE s.subject = %(subject)s AND s.originator_id = p.originator_id LIMIT 1
    ))
ORDER BY p.position LIMIT %(limit)s
