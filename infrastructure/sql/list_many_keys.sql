-- One page of the keys of a subject that has many, newest first, with the number of all; an empty page is one row of
-- NULLs. It walks down the tree of counts to the buckets that hold the page, and reads the keys of these alone. What
-- the counts do not know yet is added to them: how each key is that has changed since, less how it was counted.
-- No row at all where the counts are too far behind for that. Limits, also where they limit nothing, keep the plan
-- from reading whole subjects, which to a plan that is made for any subject seem small.
WITH RECURSIVE known AS MATERIALIZED (
    SELECT position, coalesce(convert_from(state, 'UTF8')::timestamptz, '-infinity') AS settled_at
    FROM keyledger.projections WHERE name = %(name)s AND version = %(version)s
), waiting AS MATERIALIZED (
    SELECT originator_id AS id FROM keyledger.outbox WHERE topic <> 'KeyUsed'
    UNION ALL
    SELECT originator_id FROM keyledger.positions
    WHERE topic <> 'KeyUsed' AND position > (SELECT position FROM known)
    LIMIT %(most_waiting)s + 1
), expired AS MATERIALIZED (
    SELECT l.id, l.subject, l.created_at, l.expiration
    FROM known CROSS JOIN LATERAL (
        SELECT * FROM keyledger.listed_keys
        WHERE NOT revoked AND expiration > least(known.settled_at, statement_timestamp())
            AND expiration <= greatest(known.settled_at, statement_timestamp())
        ORDER BY expiration LIMIT %(most_waiting)s + 1
    ) AS l
), usable AS MATERIALIZED (
    SELECT known.settled_at FROM known
    WHERE (SELECT count(*) FROM waiting) <= %(most_waiting)s AND (SELECT count(*) FROM expired) <= %(most_waiting)s
), changed AS MATERIALIZED (
    SELECT DISTINCT w.id FROM waiting AS w WHERE EXISTS (SELECT FROM usable)
), corrections AS MATERIALIZED (
    SELECT (extract(epoch FROM created_at) * 1000000)::bigint AS at, n
    FROM (
        SELECT k.created_at, (%(include_invalid)s OR (
            k.revoked_at IS NULL AND (k.expiration IS NULL OR k.expiration > statement_timestamp())
        ))::integer AS n
        FROM changed AS c CROSS JOIN LATERAL (SELECT * FROM keyledger.api_keys WHERE id = c.id LIMIT 1) AS k
        WHERE k.subject = %(subject)s
        UNION ALL
        SELECT l.created_at, -(%(include_invalid)s OR (
            NOT l.revoked AND (l.expiration IS NULL OR l.expiration > u.settled_at)
        ))::integer
        FROM usable AS u CROSS JOIN changed AS c CROSS JOIN LATERAL (
            SELECT * FROM keyledger.listed_keys WHERE id = c.id AND subject = %(subject)s LIMIT 1
        ) AS l
        WHERE l.present
        UNION ALL
        SELECT e.created_at, (e.expiration > statement_timestamp())::integer - (e.expiration > u.settled_at)::integer
        FROM usable AS u CROSS JOIN expired AS e
        WHERE NOT %(include_invalid)s AND e.subject = %(subject)s
            AND NOT EXISTS (SELECT FROM changed AS c WHERE c.id = e.id)
    ) AS each
    WHERE n <> 0
), total AS MATERIALIZED (
    SELECT coalesce(sum(n), 0)::bigint AS n
    FROM (
        SELECT CASE WHEN %(include_invalid)s THEN keys ELSE live END AS n FROM keyledger.key_counts
        WHERE subject = %(subject)s AND shift = %(top)s
        UNION ALL
        SELECT n FROM corrections
    ) AS each
), walk AS (
    SELECT
        (-9223372036854775808)::bigint AS first, 9223372036854775807::bigint AS last, %(top)s::integer + %(step)s AS shift,
        0::bigint AS before, total.n, false AS is_leaf
    FROM total WHERE EXISTS (SELECT FROM usable)
    UNION ALL
    SELECT
        b.bucket << b.shift, (b.bucket << b.shift) + (1::bigint << b.shift) - 1, b.shift, b.before, b.n, b.is_leaf
    FROM walk AS w CROSS JOIN LATERAL (
        SELECT
            bucket, w.shift - %(step)s AS shift, sum(n)::bigint AS n, bool_and(is_leaf) AS is_leaf,
            (w.before + sum(sum(n)) OVER (ORDER BY bucket DESC) - sum(n))::bigint AS before
        FROM (
            SELECT
                c.bucket, CASE WHEN %(include_invalid)s THEN c.keys ELSE c.live END AS n,
                c.entered <= %(leaf_keys)s OR c.shift = %(bottom)s AS is_leaf
            FROM keyledger.key_counts AS c
            WHERE c.subject = %(subject)s AND c.shift = w.shift - %(step)s
                AND c.bucket BETWEEN w.first >> (w.shift - %(step)s) AND w.last >> (w.shift - %(step)s)
            UNION ALL
            SELECT c.at >> (w.shift - %(step)s), c.n, true FROM corrections AS c
            WHERE c.at BETWEEN w.first AND w.last
        ) AS each
        GROUP BY bucket
    ) AS b
    WHERE NOT w.is_leaf AND b.n > 0 AND b.before < %(offset)s::bigint + %(limit)s AND b.before + b.n > %(offset)s
), leaves AS MATERIALIZED (
    SELECT
        timestamptz 'epoch' + greatest(first, %(earliest)s) * interval '1 microsecond' AS first,
        timestamptz 'epoch' + (last + 1) * interval '1 microsecond' AS next, before -- exact, unlike that of `last`
    FROM walk WHERE is_leaf
)
SELECT
    total.n, k.id, k.type, k.name, k.subject, k.description, k.claims, k.scopes, k.created_at, k.created_by,
    k.updated_at, k.expiration, k.revoked_at, k.revocation_reason, k.expired, k.last_used_at
FROM total
LEFT JOIN LATERAL (
    SELECT page.*, u.last_used_at
    FROM (
        SELECT k.*, coalesce(k.expiration <= statement_timestamp(), false) AS expired
        FROM leaves AS l CROSS JOIN LATERAL (
            SELECT k.* FROM keyledger.api_keys AS k
            WHERE k.subject = %(subject)s AND k.created_at >= l.first AND k.created_at < l.next
                AND (%(include_invalid)s OR (
                    k.revoked_at IS NULL AND (k.expiration IS NULL OR k.expiration > statement_timestamp())
                ))
            ORDER BY k.created_at DESC, k.id DESC LIMIT %(offset)s::bigint + %(limit)s - l.before
        ) AS k
        ORDER BY k.created_at DESC, k.id DESC
        LIMIT %(limit)s OFFSET greatest(0, %(offset)s - (SELECT min(before) FROM leaves))
    ) AS page
    LEFT JOIN LATERAL (SELECT * FROM keyledger.key_usage WHERE id = page.id LIMIT 1) AS u ON true
) AS k ON true
WHERE EXISTS (SELECT FROM usable)
ORDER BY k.created_at DESC, k.id DESC
