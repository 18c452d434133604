-- Whether an event waits for its position, of those that arrived after the floor and up to an arrival, if one is given.
SELECT true FROM keyledger.outbox
WHERE arrival > %(floor)s AND (%(arrival)s::bigint IS NULL OR arrival <= %(arrival)s::bigint)
ORDER BY arrival LIMIT 1
