-- Give the next positions to events of the outbox, by arrival, if epoch and position are still what the caller knows;
-- what is returned is the new head, NULL where nothing waited, and no row at all where the role was lost.
WITH head AS (
    SELECT position FROM keyledger.sequencer WHERE epoch = %(epoch)s AND position = %(position)s FOR UPDATE
), batch AS (
    DELETE FROM keyledger.outbox AS o
    USING (
        SELECT w.arrival, w.originator_id FROM head CROSS JOIN keyledger.outbox AS w ORDER BY w.arrival LIMIT %(limit)s
    ) AS waiting
    WHERE o.arrival = waiting.arrival AND o.originator_id = waiting.originator_id
    RETURNING o.arrival, o.originator_id, o.originator_version
), placed AS (
    INSERT INTO keyledger.positions (position, originator_id, originator_version, topic, subject, recorded_at)
    SELECT
        head.position + row_number() OVER (ORDER BY b.arrival), e.originator_id, e.originator_version, e.topic,
        e.subject, e.recorded_at
    FROM head CROSS JOIN batch AS b JOIN keyledger.events AS e USING (originator_id, originator_version)
    RETURNING position
), moved AS (
    UPDATE keyledger.sequencer AS s
    SET position = placed.last, held_until = clock_timestamp() + make_interval(secs => %(seconds)s)
    FROM (SELECT max(position) AS last FROM placed) AS placed
    WHERE s.epoch = %(epoch)s AND placed.last IS NOT NULL
    RETURNING s.position
)
SELECT moved.position, pg_notify('keyledger_positions', moved.position::text) FROM head LEFT JOIN moved ON true
