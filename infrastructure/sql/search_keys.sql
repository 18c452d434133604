-- One page of a subject's keys whose names hold a text, newest first, with the number of all that match; an empty page
-- is one row of NULLs.
WITH matching AS MATERIALIZED (
    SELECT k.id, k.created_at FROM keyledger.api_keys AS k
    WHERE k.subject = %(subject)s
        AND (%(include_invalid)s OR (
            k.revoked_at IS NULL AND (k.expiration IS NULL OR k.expiration > statement_timestamp())
        ))
        AND (%(type)s::text IS NULL OR k.type = %(type)s)
        AND keyledger.grams(k.name_search) @> %(grams)s::bigint[] AND k.name_search LIKE %(pattern)s
)
SELECT
    total.count, k.id, k.type, k.name, k.subject, k.description, k.claims, k.scopes, k.created_at, k.created_by,
    k.updated_at, k.expiration, k.revoked_at, k.revocation_reason,
    coalesce(k.expiration <= statement_timestamp(), false) AS expired, u.last_used_at
FROM (SELECT count(*) FROM matching) AS total
LEFT JOIN (
    SELECT id FROM matching ORDER BY created_at DESC, id DESC LIMIT %(limit)s OFFSET %(offset)s
) AS page ON true
LEFT JOIN keyledger.api_keys AS k ON k.id = page.id
LEFT JOIN keyledger.key_usage AS u ON u.id = page.id
ORDER BY k.created_at DESC, k.id DESC
