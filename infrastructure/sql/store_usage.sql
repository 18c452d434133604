-- Write what the usage read model says of keys.
INSERT INTO keyledger.key_usage (id, uses, refused, first_used_at, first_address, last_used_at, last_address)
SELECT * FROM unnest(
    %(id)b::uuid[], %(uses)b::bigint[], %(refused)b::bigint[], %(first_used_at)b::timestamptz[],
    %(first_address)b::text[], %(last_used_at)b::timestamptz[], %(last_address)b::text[]
)
ON CONFLICT (id) DO UPDATE SET
    uses = excluded.uses, refused = excluded.refused, first_used_at = excluded.first_used_at,
    first_address = excluded.first_address, last_used_at = excluded.last_used_at, last_address = excluded.last_address
