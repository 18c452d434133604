-- Write how keys are counted.
INSERT INTO keyledger.listed_keys (id, subject, created_at, expiration, revoked, present)
SELECT * FROM unnest(
    %(id)b::uuid[], %(subject)b::text[], %(created_at)b::timestamptz[], %(expiration)b::timestamptz[],
    %(revoked)b::boolean[], %(present)b::boolean[]
)
ON CONFLICT (id, subject) DO UPDATE SET
    expiration = excluded.expiration, revoked = excluded.revoked, present = excluded.present
