-- Take note of the fingerprints of peppers that were not known here.
INSERT INTO keyledger.peppers (kid, fingerprint) SELECT * FROM unnest(%(kids)s::text[], %(fingerprints)s::bytea[])
ON CONFLICT DO NOTHING
