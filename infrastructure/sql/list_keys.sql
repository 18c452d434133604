-- One page of a subject's keys, newest first, with the number of all; an empty page is one row of NULLs.
WITH matching AS NOT MATERIALIZED (
    SELECT k.*, coalesce(k.expiration <= statement_timestamp(), false) AS expired
    FROM keyledger.api_keys AS k
    WHERE k.subject = %(subject)s
        AND (%(include_invalid)s OR (
            k.revoked_at IS NULL AND (k.expiration IS NULL OR k.expiration > statement_timestamp())
        ))
        AND (%(type)s::text IS NULL OR k.type = %(type)s)
)
SELECT
    total.count, k.id, k.type, k.name, k.subject, k.description, k.claims, k.scopes, k.created_at, k.created_by,
    k.updated_at, k.expiration, k.revoked_at, k.revocation_reason, k.expired, k.last_used_at
FROM (SELECT count(*) FROM matching) AS total
LEFT JOIN LATERAL (
    SELECT page.*, u.last_used_at
    FROM (SELECT * FROM matching ORDER BY created_at DESC, id DESC LIMIT %(limit)s OFFSET %(offset)s) AS page
    LEFT JOIN keyledger.key_usage AS u ON u.id = page.id
) AS k ON true
ORDER BY k.created_at DESC, k.id DESC
