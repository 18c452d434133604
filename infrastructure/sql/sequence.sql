-- Give the next positions to events of the outbox, by arrival, if epoch and position are still what the caller knows;
-- what is returned is the new head and the last arrival, NULL where nothing waited, and no row at all where the
-- caller knows another head. Arrays keep the plan, however many entries, dead ones too, are believed to be there.
WITH head AS (
    SELECT position FROM keyledger.sequencer WHERE epoch = %(epoch)s AND position = %(position)s FOR UPDATE
), batch AS (
    DELETE FROM keyledger.outbox
    WHERE arrival = ANY(ARRAY(
        SELECT arrival FROM keyledger.outbox
        WHERE (SELECT true FROM head) AND arrival > %(floor)s
        ORDER BY arrival LIMIT %(limit)s
    ))
    RETURNING arrival, originator_id, originator_version
), placed AS (
    INSERT INTO keyledger.positions (position, originator_id, originator_version, topic, subject, recorded_at)
    SELECT
        head.position + row_number() OVER (ORDER BY b.arrival), e.originator_id, e.originator_version, e.topic,
        e.subject, e.recorded_at
    FROM head CROSS JOIN batch AS b JOIN keyledger.events AS e USING (originator_id, originator_version)
    RETURNING position
), moved AS (
    UPDATE keyledger.sequencer AS s
    SET position = placed.last,
        held_until = coalesce(clock_timestamp() + make_interval(secs => %(seconds)s), s.held_until)
    FROM (SELECT max(position) AS last FROM placed) AS placed
    WHERE s.epoch = %(epoch)s AND placed.last IS NOT NULL
    RETURNING s.position
)
SELECT
    moved.position,
    (SELECT max(arrival) FROM batch),
    (SELECT pg_notify('keyledger_positions', moved.position::text) WHERE moved.position IS NOT NULL)
FROM head LEFT JOIN moved ON true
