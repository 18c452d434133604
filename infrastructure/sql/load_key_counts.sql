-- What the listing read model counts in these buckets.
SELECT c.subject, c.shift, c.bucket, c.entered, c.keys, c.live
FROM unnest(%(subjects)b::text[], %(shifts)b::integer[], %(buckets)b::bigint[]) AS wanted (subject, shift, bucket)
JOIN keyledger.key_counts AS c USING (subject, shift, bucket)
