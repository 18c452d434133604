-- Until the transaction ends, nobody else takes this name for a key of this subject.
SELECT pg_advisory_xact_lock(hashtextextended(%(subject)s::text || chr(10) || %(name)s::text, 7234316346693019762))
