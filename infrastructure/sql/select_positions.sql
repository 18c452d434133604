-- The events after a position, in order; so many, and no more bytes than that, but one at least.
SELECT position, originator_id, originator_version, recorded_at, topic, state
FROM (
    SELECT p.*, e.state, sum(octet_length(e.state)) OVER (ORDER BY p.position) - octet_length(e.state) AS bytes_before
    FROM keyledger.positions AS p JOIN keyledger.events AS e USING (originator_id, originator_version)
    WHERE p.position > %(after)s AND p.position <= %(after)s::bigint + %(limit)s
) AS batch
WHERE bytes_before < %(bytes)s
ORDER BY position
