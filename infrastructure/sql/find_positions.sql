-- The positions of lifecycle events, given their keys and versions.
SELECT p.originator_id, p.originator_version, p.position
FROM unnest(%(ids)b::uuid[], %(versions)b::bigint[]) AS event (id, version)
JOIN keyledger.positions AS p ON p.originator_id = event.id AND p.originator_version = event.version
WHERE p.topic <> 'KeyUsed'
