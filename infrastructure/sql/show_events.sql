-- A key's events as they stand in the table.
SELECT originator_version, topic, recorded_at, state FROM keyledger.events
WHERE originator_id = %(id)s ORDER BY originator_version
