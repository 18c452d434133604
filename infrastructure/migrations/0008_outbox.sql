-- The events that have no position yet: filled by each append, to be emptied by the sequencer, oldest arrival first.
-- `arrival` grows within a stream, but commits do not follow it: it is no position. The stream's id is in the key
-- because a table that is distributed by it needs that.
CREATE TABLE keyledger.outbox (
    originator_id uuid NOT NULL,
    originator_version bigint NOT NULL,
    arrival bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (arrival, originator_id)
)
