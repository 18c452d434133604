-- What the listing read model says of these keys, and of those that expired between two moments.
SELECT id, subject, created_at, expiration, revoked, present FROM keyledger.listed_keys
WHERE id = ANY(%(ids)b::uuid[])
UNION
SELECT id, subject, created_at, expiration, revoked, present FROM keyledger.listed_keys
WHERE NOT revoked AND expiration > %(was)b::timestamptz AND expiration <= %(now)b::timestamptz
