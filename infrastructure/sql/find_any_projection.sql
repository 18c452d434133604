-- How far a read model has come, whatever its version, and whether it has stopped.
SELECT version, position, failed_position IS NOT NULL FROM keyledger.projections WHERE name = %(name)s
