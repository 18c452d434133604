-- The keys created after a position and up to another, in order; so many.
SELECT position, originator_id FROM keyledger.positions
WHERE position > %(after)s AND position <= %(until)s AND topic <> 'KeyUsed' AND topic = 'KeyCreated'
ORDER BY position LIMIT %(limit)s
