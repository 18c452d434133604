-- Note that a rebuild has come further, if it is still the one.
UPDATE keyledger.rebuilds
SET position = %(position)s, state = %(state)s, failed_position = NULL, failure = NULL
WHERE name = %(name)s AND token = %(token)s AND position = %(expected)s AND switched_at IS NULL
