-- The tables of a rebuild are the live ones.
UPDATE keyledger.rebuilds SET switched_at = clock_timestamp() WHERE name = %(name)s AND token = %(token)s
