-- What the usage read model says of these keys.
SELECT id, uses, refused, first_used_at, first_address, last_used_at, last_address FROM keyledger.key_usage
WHERE id = ANY(%(ids)b::uuid[])
