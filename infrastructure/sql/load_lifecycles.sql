-- The lifecycle events of keys between two versions each, past any number of uses; so many of each key.
SELECT e.originator_id, e.originator_version, e.recorded_at, e.topic, e.state
FROM unnest(%(ids)b::uuid[], %(afters)b::bigint[], %(untils)b::bigint[]) AS key (id, after, until)
CROSS JOIN LATERAL (
    SELECT e.originator_id, e.originator_version, e.recorded_at, e.topic, e.state FROM keyledger.events AS e
    WHERE e.originator_id = key.id AND e.originator_version > key.after AND e.originator_version <= key.until
        AND e.topic <> 'KeyUsed'
    ORDER BY e.originator_version LIMIT %(limit)s
) AS e
ORDER BY e.originator_id, e.originator_version
