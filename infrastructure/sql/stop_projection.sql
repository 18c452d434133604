-- Note the event that a read model cannot take, if it still stands before it.
UPDATE keyledger.projections
SET failed_position = %(failed_position)s, failed_at = clock_timestamp(), failure = %(failure)s
WHERE name = %(name)s AND version = %(version)s AND position = %(failed_position)s - 1
