-- Note that a read model has come further, if nobody else moved it meanwhile; this is what fences a second runner.
UPDATE keyledger.projections
SET position = %(position)s, state = %(state)s, failed_position = NULL, failed_at = NULL, failure = NULL
WHERE name = %(name)s AND version = %(version)s AND position = %(expected)s
