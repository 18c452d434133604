-- One page of a subject's keys, newest first, with the number of all that match; an empty page is one row of NULLs.
-- No row at all where the subject has more than a few hundred keys: it reads no more of them than that. Made so that
-- the plan is the same for any subject, which has PostgreSQL keep it: planning takes longer than all the rest.
WITH wanted AS MATERIALIZED (
    SELECT %(subject)s::text AS subject
), many AS MATERIALIZED (
    SELECT EXISTS (
        SELECT FROM keyledger.key_counts AS c
        WHERE c.subject = (SELECT subject FROM wanted) AND c.shift = %(top)s AND c.keys > %(few)s
    ) AS counted
), few AS MATERIALIZED (
    SELECT k.*, coalesce(k.expiration <= statement_timestamp(), false) AS expired
    FROM keyledger.api_keys AS k
    WHERE k.subject = (SELECT subject FROM wanted) AND NOT (SELECT counted FROM many)
    ORDER BY k.created_at DESC, k.id DESC LIMIT %(few)s + 1
), matching AS NOT MATERIALIZED (
    SELECT * FROM few
    WHERE (%(include_invalid)s OR (revoked_at IS NULL AND NOT expired))
        AND (%(pattern)s::text IS NULL OR name_search LIKE %(pattern)s)
        AND (%(type)s::text IS NULL OR type = %(type)s)
)
SELECT
    total.count, k.id, k.type, k.name, k.subject, k.description, k.claims, k.scopes, k.created_at, k.created_by,
    k.updated_at, k.expiration, k.revoked_at, k.revocation_reason, k.expired, k.last_used_at
FROM (SELECT count(*) FROM matching) AS total
LEFT JOIN LATERAL (
    SELECT page.*, u.last_used_at
    FROM (SELECT * FROM matching ORDER BY created_at DESC, id DESC LIMIT %(limit)s OFFSET %(offset)s) AS page
    LEFT JOIN LATERAL (SELECT * FROM keyledger.key_usage WHERE id = page.id LIMIT 1) AS u ON true
) AS k ON true
WHERE NOT (SELECT counted FROM many) AND (SELECT count(*) FROM few) <= %(few)s
ORDER BY k.created_at DESC, k.id DESC
