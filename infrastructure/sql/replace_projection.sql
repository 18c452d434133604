-- The tables of a rebuild are a read model's from now on.
UPDATE keyledger.projections
SET version = %(version)s, position = %(position)s, state = %(state)s, failed_position = NULL, failed_at = NULL,
    failure = NULL
WHERE name = %(name)s
