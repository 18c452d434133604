-- Write what is counted in buckets.
INSERT INTO keyledger.key_counts (subject, shift, bucket, entered, keys, live)
SELECT * FROM unnest(
    %(subject)b::text[], %(shift)b::integer[], %(bucket)b::bigint[], %(entered)b::bigint[], %(keys)b::bigint[],
    %(live)b::bigint[]
)
ON CONFLICT (subject, shift, bucket) DO UPDATE SET
    entered = excluded.entered, keys = excluded.keys, live = excluded.live
