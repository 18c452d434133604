-- Append events at versions that the caller chose (eventsourcing's insert_events).
WITH event AS (
    INSERT INTO keyledger.events (originator_id, originator_version, topic, state)
    SELECT * FROM unnest(%(ids)b::uuid[], %(versions)b::bigint[], %(topics)b::text[], %(states)b::bytea[])
    RETURNING originator_id, originator_version, topic
)
INSERT INTO keyledger.outbox (originator_id, originator_version, topic)
SELECT originator_id, originator_version, topic FROM event
RETURNING arrival
