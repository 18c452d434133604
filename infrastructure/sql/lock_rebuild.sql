-- How far a rebuild has come, what its fold keeps between batches, and whether its tables are the live ones.
SELECT position, state, switched_at IS NOT NULL FROM keyledger.rebuilds
WHERE name = %(name)s AND token = %(token)s FOR UPDATE
