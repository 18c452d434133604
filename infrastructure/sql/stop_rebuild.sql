-- Note the event that a rebuild cannot take.
UPDATE keyledger.rebuilds SET failed_position = %(failed_position)s, failure = %(failure)s
WHERE name = %(name)s AND token = %(token)s AND position = %(failed_position)s - 1
