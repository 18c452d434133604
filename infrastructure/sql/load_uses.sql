-- The events of a key from a version to another, so many, with what tells which of them may hold an earlier use.
SELECT originator_version, last_used_at, lateness, topic, state FROM keyledger.events
WHERE originator_id = %(id)s AND originator_version >= %(first)s AND originator_version <= %(until)s
ORDER BY originator_version LIMIT %(limit)s
