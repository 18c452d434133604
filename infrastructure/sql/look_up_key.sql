-- One key by its id with its secret's digest, and which server says so, NULL for a standby; a key that is not there is
-- a row of NULLs.
SELECT
    CASE WHEN NOT pg_is_in_recovery() THEN extract(epoch FROM pg_postmaster_start_time())::text END AS server,
    k.id, k.type, k.name, k.subject, k.description, k.claims, k.scopes, k.created_at, k.created_by, k.updated_at,
    k.expiration, k.revoked_at, k.revocation_reason, coalesce(k.expiration <= statement_timestamp(), false) AS expired,
    u.last_used_at,
    k.digest_algorithm, k.digest_kid, k.digest
FROM (SELECT %(id)s::uuid AS id) AS wanted
LEFT JOIN keyledger.api_keys AS k ON k.id = wanted.id
LEFT JOIN keyledger.key_usage AS u ON u.id = wanted.id
