-- How far a read model of this version has come.
SELECT position FROM keyledger.projections WHERE name = %(name)s AND version = %(version)s
