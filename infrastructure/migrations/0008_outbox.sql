-- The events that have no position yet: filled by each append, emptied by the sequencer.
-- The sequencer takes the oldest arrivals first.
-- `arrival` grows within a stream, but commits do not follow it: it is no position.
CREATE TABLE keyledger.outbox (
    originator_id uuid NOT NULL,
    originator_version bigint NOT NULL,
    arrival bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (arrival, originator_id)
)
