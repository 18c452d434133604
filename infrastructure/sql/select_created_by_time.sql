-- The keys whose creation was recorded up to a time and has a position up to another, in order; so many.
SELECT recorded_at, position, originator_id FROM keyledger.positions
WHERE recorded_at >= %(after_time)s AND recorded_at <= %(until)s
    AND (recorded_at, position) > (%(after_time)s, %(after)s) AND position <= %(position)s
    AND topic <> 'KeyUsed' AND topic = 'KeyCreated'
ORDER BY recorded_at, position LIMIT %(limit)s
