-- The events of one stream within the bounds, oldest first.
SELECT originator_version, topic, state FROM keyledger.events
WHERE originator_id = %(id)s AND originator_version > %(gt)s AND originator_version <= %(lte)s
ORDER BY originator_version LIMIT %(limit)s
