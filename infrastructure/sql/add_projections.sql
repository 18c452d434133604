-- Take note of read models that are new here, at the beginning.
INSERT INTO keyledger.projections (name, version)
SELECT * FROM unnest(%(names)s::text[], %(versions)s::integer[]) ON CONFLICT DO NOTHING
