-- Say that a verifier decides by everything that was committed before a barrier.
UPDATE keyledger.verifiers SET acknowledged = %(barrier)s WHERE id = %(verifier)s AND acknowledged < %(barrier)s
