-- Every event of a key after a version, so many.
SELECT originator_version, recorded_at, topic, state FROM keyledger.events
WHERE originator_id = %(id)s AND originator_version > %(after)s
ORDER BY originator_version LIMIT %(limit)s
