-- What the history says of these keys up to a position: the last row of each.
SELECT h.originator_id, h.subject, h.revoked OR h.topic IN ('KeyRevoked', 'KeyDeleted') AS revoked
FROM unnest(%(ids)b::uuid[]) AS key (id)
CROSS JOIN LATERAL (
    SELECT p.topic, p.position FROM keyledger.positions AS p
    WHERE p.originator_id = key.id AND p.position < %(position)s
    ORDER BY p.position DESC LIMIT 1
) AS last
CROSS JOIN LATERAL (
    SELECT h.* FROM keyledger.history AS h WHERE h.topic = last.topic AND h.position = last.position LIMIT 1
) AS h
