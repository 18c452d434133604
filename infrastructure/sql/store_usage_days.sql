-- Write what the usage read model says of keys on days.
INSERT INTO keyledger.key_usage_days (id, day, uses, refused)
SELECT * FROM unnest(%(id)b::uuid[], %(day)b::date[], %(uses)b::bigint[], %(refused)b::bigint[])
ON CONFLICT (id, day) DO UPDATE SET uses = excluded.uses, refused = excluded.refused
