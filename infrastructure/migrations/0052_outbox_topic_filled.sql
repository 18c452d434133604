-- The topics of the events that waited for a position when that column came.
UPDATE keyledger.outbox AS o SET topic = coalesce(
    (
        SELECT e.topic FROM keyledger.events AS e
        WHERE e.originator_id = o.originator_id AND e.originator_version = o.originator_version
    ),
    ''
)
WHERE topic IS NULL
