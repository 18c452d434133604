-- Events of the history in one direction ({order}) with their states: so many that they have the entries that are
-- wanted, and no more bytes than that, but one at least. They are walked topic by topic along one index, that of
-- {lead}. No statistics may lead the planner to another: rows are compared, for which no other index serves, with a
-- value that is hidden from it, and the other filters stand in a CASE, into which it does not look.
WITH walked AS (
    SELECT h.* FROM unnest(%(topics)s::text[]) AS t (topic)
    CROSS JOIN LATERAL (
        SELECT h.* FROM keyledger.history AS h
        WHERE ({lead}h.topic, h.position) >= ({value}t.topic, %(first)s::bigint)
            AND ({lead}h.topic, h.position) <= ({value}t.topic, %(last)s::bigint){given}
            AND CASE WHEN
                (%(originator_id)s::uuid IS NULL OR h.originator_id = %(originator_id)s::uuid)
                AND (%(subject)s::text IS NULL OR h.subject = %(subject)s::text)
                AND (%(user_id)s::text IS NULL OR h.user_id = %(user_id)s::text)
                AND (%(organization_id)s::text IS NULL OR h.organization_id = %(organization_id)s::text)
                AND (%(ip_address)s::text IS NULL OR h.ip_address = %(ip_address)s::text)
                AND (%(request_id)s::text IS NULL OR h.request_id = %(request_id)s::text)
                AND (%(credential_id)s::text IS NULL OR h.credential_id = %(credential_id)s::text)
                AND (%(since)s::timestamptz IS NULL OR h.last_at >= %(since)s::timestamptz)
                AND (%(until)s::timestamptz IS NULL OR h.first_at < %(until)s::timestamptz)
            THEN true END
        ORDER BY {lead_order}h.topic {order}, h.position {order} LIMIT %(events)s
    ) AS h
), strays AS (
    SELECT h.* FROM keyledger.history AS h
    WHERE (%(since)s::timestamptz IS NOT NULL OR %(until)s::timestamptz IS NOT NULL)
        AND h.stray
        AND tstzrange(h.first_at, h.last_at, '[]') && tstzrange(%(since)s::timestamptz, %(until)s::timestamptz)
        AND CASE WHEN
            h.position BETWEEN %(lowest)s::bigint AND %(highest)s::bigint
            AND NOT h.position BETWEEN %(first)s::bigint AND %(last)s::bigint
            AND h.topic = ANY(%(topics)s::text[])
            AND (%(originator_id)s::uuid IS NULL OR h.originator_id = %(originator_id)s::uuid)
            AND (%(subject)s::text IS NULL OR h.subject = %(subject)s::text)
            AND (%(user_id)s::text IS NULL OR h.user_id = %(user_id)s::text)
            AND (%(organization_id)s::text IS NULL OR h.organization_id = %(organization_id)s::text)
            AND (%(ip_address)s::text IS NULL OR h.ip_address = %(ip_address)s::text)
            AND (%(request_id)s::text IS NULL OR h.request_id = %(request_id)s::text)
            AND (%(credential_id)s::text IS NULL OR h.credential_id = %(credential_id)s::text)
        THEN true END
    ORDER BY h.position {order} LIMIT %(events)s
), merged AS (
    SELECT m.*, coalesce(sum(m.entries) OVER earlier, 0) AS entries_before
    FROM (SELECT * FROM walked UNION ALL SELECT * FROM strays) AS m
    WINDOW earlier AS (ORDER BY m.position {order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ORDER BY m.position {order} LIMIT %(events)s
), page AS (
    SELECT m.*, e.recorded_at, e.state, coalesce(sum(octet_length(e.state)) OVER earlier, 0) AS bytes_before
    FROM merged AS m
    CROSS JOIN LATERAL (
        SELECT e.recorded_at, e.state FROM keyledger.events AS e
        WHERE e.originator_id = m.originator_id AND e.originator_version = m.originator_version LIMIT 1
    ) AS e
    WHERE m.entries_before < %(entries)s
    WINDOW earlier AS (ORDER BY m.position {order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT position, originator_id, subject, revoked, recorded_at, topic, state FROM page
WHERE bytes_before < %(bytes)s ORDER BY position {order}
