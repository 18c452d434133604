-- How far a read model of this version has come, and what its fold keeps between batches; nobody else may move it.
SELECT position, state FROM keyledger.projections WHERE name = %(name)s AND version = %(version)s FOR UPDATE
