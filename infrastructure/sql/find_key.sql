-- One key by its id, with the database's opinion on whether it has expired.
SELECT
    k.id, k.type, k.name, k.subject, k.description, k.claims, k.scopes, k.created_at, k.created_by, k.updated_at,
    k.expiration, k.revoked_at, k.revocation_reason, coalesce(k.expiration <= statement_timestamp(), false) AS expired,
    u.last_used_at
FROM keyledger.api_keys AS k LEFT JOIN keyledger.key_usage AS u ON u.id = k.id
WHERE k.id = %(id)s
