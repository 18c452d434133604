-- A batch does not wait for the disk: rows and position would be lost together, and made again. Nor long for a lock.
SELECT set_config('synchronous_commit', 'off', true), set_config('lock_timeout', '1s', true)
