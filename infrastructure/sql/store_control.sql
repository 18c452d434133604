-- Write what the control read model says of keys; scopes come as JSON, since arrays of arrays would run together.
INSERT INTO keyledger.api_keys (
    id, version, type, name, name_search, subject, description, claims, scopes, created_at, created_by, updated_at,
    expiration, revoked_at, revocation_reason, digest_algorithm, digest_kid, digest
)
SELECT
    id, version, type, name, name_search, subject, description, claims,
    ARRAY(SELECT s.value FROM json_array_elements_text(scopes::json) WITH ORDINALITY AS s (value, n) ORDER BY s.n),
    created_at, created_by, updated_at, expiration, revoked_at, revocation_reason, digest_algorithm, digest_kid, digest
FROM unnest(
    %(id)b::uuid[], %(version)b::bigint[], %(type)b::text[], %(name)b::text[], %(name_search)b::text[],
    %(subject)b::text[], %(description)b::text[], %(claims)b::text[], %(scopes)b::text[],
    %(created_at)b::timestamptz[], %(created_by)b::text[], %(updated_at)b::timestamptz[],
    %(expiration)b::timestamptz[], %(revoked_at)b::timestamptz[], %(revocation_reason)b::text[],
    %(digest_algorithm)b::text[], %(digest_kid)b::text[], %(digest)b::bytea[]
) AS k (
    id, version, type, name, name_search, subject, description, claims, scopes, created_at, created_by, updated_at,
    expiration, revoked_at, revocation_reason, digest_algorithm, digest_kid, digest
)
ON CONFLICT (id) DO UPDATE SET
    version = excluded.version, subject = excluded.subject, description = excluded.description,
    claims = excluded.claims, scopes = excluded.scopes, updated_at = excluded.updated_at,
    expiration = excluded.expiration, revoked_at = excluded.revoked_at, revocation_reason = excluded.revocation_reason
