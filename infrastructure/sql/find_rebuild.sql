-- How far a rebuild has come.
SELECT position FROM keyledger.rebuilds WHERE name = %(name)s AND token = %(token)s
