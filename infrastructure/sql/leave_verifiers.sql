-- Say that a verifier decides no more.
DELETE FROM keyledger.verifiers WHERE id = %(verifier)s
