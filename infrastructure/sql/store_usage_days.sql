-- Add to what the usage read model says of keys on days.
INSERT INTO keyledger.key_usage_days AS d (id, day, uses, refused)
SELECT * FROM unnest(%(id)b::uuid[], %(day)b::date[], %(uses)b::bigint[], %(refused)b::bigint[])
ON CONFLICT (id, day) DO UPDATE SET uses = d.uses + excluded.uses, refused = d.refused + excluded.refused
