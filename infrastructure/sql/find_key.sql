-- One key by its id, with the database's opinion on whether it has expired.
SELECT
    k.id, k.version, k.type, k.name, k.name_search, k.subject, k.description, k.claims, k.scopes, k.created_at,
    k.created_by, k.updated_at, k.expiration, k.revoked_at, k.revocation_reason, k.digest_algorithm, k.digest_kid,
    k.digest, coalesce(k.expiration <= statement_timestamp(), false) AS expired, u.last_used_at
FROM keyledger.api_keys AS k LEFT JOIN keyledger.key_usage AS u ON u.id = k.id
WHERE k.id = %(id)s
