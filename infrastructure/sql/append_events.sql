-- Append events at versions that the caller chose (eventsourcing's insert_events).
WITH event AS (
    INSERT INTO keyledger.events (originator_id, originator_version, topic, state)
    SELECT * FROM unnest(%(ids)s::uuid[], %(versions)s::bigint[], %(topics)s::text[], %(states)s::bytea[])
    RETURNING originator_id, originator_version
)
INSERT INTO keyledger.outbox (originator_id, originator_version) SELECT originator_id, originator_version FROM event
RETURNING arrival
