-- The events that wait for a position, by arrival (eventsourcing's select_notifications).
SELECT o.arrival, e.originator_id, e.originator_version, e.topic, e.state
FROM keyledger.outbox AS o JOIN keyledger.events AS e USING (originator_id, originator_version)
WHERE o.arrival >= %(start)s AND o.arrival <= %(stop)s AND (%(topics)s::text[] IS NULL OR e.topic = ANY(%(topics)s))
ORDER BY o.arrival LIMIT %(limit)s
