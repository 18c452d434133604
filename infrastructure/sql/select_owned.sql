-- The keys that were ever a subject's, in the order of their ids; so many.
SELECT DISTINCT originator_id FROM keyledger.positions
WHERE subject = %(subject)s AND originator_id > %(after)s
ORDER BY originator_id LIMIT %(limit)s
