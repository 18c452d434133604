-- Take note of read models that are new here, at the beginning, and return their names.
INSERT INTO keyledger.projections (name, version)
SELECT * FROM unnest(%(names)s::text[], %(versions)s::integer[]) ON CONFLICT DO NOTHING
RETURNING name
