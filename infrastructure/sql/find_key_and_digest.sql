-- One key by its id with its secret's digest, for a verification.
SELECT
    k.id, k.type, k.name, k.subject, k.description, k.claims, k.scopes, k.created_at, k.created_by, k.updated_at,
    k.expiration, k.revoked_at, k.revocation_reason, coalesce(k.expiration <= statement_timestamp(), false) AS expired,
    u.last_used_at,
    k.digest_algorithm, k.digest_kid, k.digest
FROM keyledger.api_keys AS k LEFT JOIN keyledger.key_usage AS u ON u.id = k.id
WHERE k.id = %(id)s
