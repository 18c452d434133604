-- A rebuild ends before its tables are the live ones.
DELETE FROM keyledger.rebuilds WHERE name = %(name)s AND token = %(token)s AND switched_at IS NULL
