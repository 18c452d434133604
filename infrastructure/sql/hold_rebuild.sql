-- Be the only one that rebuilds a read model, until this transaction ends.
SELECT pg_try_advisory_xact_lock(hashtextextended('keyledger rebuild ' || %(name)s, 0))
