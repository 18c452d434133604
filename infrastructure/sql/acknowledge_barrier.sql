-- Say that a verifier decides by everything that was committed before a barrier; on the server that told of it, as
-- another one may give the number to another barrier.
UPDATE keyledger.verifiers SET acknowledged = %(barrier)s
WHERE id = %(verifier)s AND acknowledged < %(barrier)s
    AND extract(epoch FROM pg_postmaster_start_time())::text = %(server)s
