-- The positions that hold a span of time, but for strays: from the first at which so late a moment had been seen, to
-- the last before one was seen that is by the spread later; and the position that the history has come to.
SELECT
    CASE WHEN %(since)s::timestamptz IS NULL THEN 1 ELSE coalesce((
        SELECT h.position FROM keyledger.history AS h
        WHERE h.high_at >= %(since)s::timestamptz ORDER BY h.high_at, h.position LIMIT 1
    ), p.position + 1) END,
    CASE WHEN %(until)s::timestamptz IS NULL THEN p.position ELSE coalesce((
        SELECT h.position - 1 FROM keyledger.history AS h
        WHERE h.high_at >= %(until)s::timestamptz + %(spread)s::interval ORDER BY h.high_at, h.position LIMIT 1
    ), p.position) END,
    p.position
FROM keyledger.projections AS p WHERE p.name = %(name)s AND p.version = %(version)s
