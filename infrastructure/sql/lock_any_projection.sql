-- How far a read model has come, whatever its version; nobody may move it.
SELECT version, position FROM keyledger.projections WHERE name = %(name)s FOR UPDATE
