-- What the control read model says of these keys.
SELECT
    id, version, type, name, name_search, subject, description, claims, scopes, created_at, created_by, updated_at,
    expiration, revoked_at, revocation_reason, digest_algorithm, digest_kid, digest
FROM keyledger.api_keys WHERE id = ANY(%(ids)b::uuid[])
