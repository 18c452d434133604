-- The lifecycle events that have no position yet, after a place in a stream, so that each stream keeps its order.
SELECT e.originator_id, e.originator_version, e.recorded_at, e.topic, e.state
FROM keyledger.outbox AS o JOIN keyledger.events AS e USING (originator_id, originator_version)
WHERE o.topic <> 'KeyUsed'
    AND (originator_id, originator_version) > (%(after_id)s::uuid, %(after_version)s::bigint)
ORDER BY originator_id, originator_version LIMIT %(limit)s
