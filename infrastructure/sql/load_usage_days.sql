-- What the usage read model says of these keys on these days.
SELECT d.id, d.day, d.uses, d.refused
FROM unnest(%(ids)b::uuid[], %(days)b::date[]) AS wanted (id, day) JOIN keyledger.key_usage_days AS d USING (id, day)
