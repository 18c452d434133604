-- The order of all events: dense positions from 1, given by the sequencer, and what finds events by it.
CREATE TABLE keyledger.positions (
    position bigint PRIMARY KEY,
    originator_id uuid NOT NULL,
    originator_version bigint NOT NULL,
    topic text NOT NULL,
    subject text,
    recorded_at timestamptz NOT NULL
)
