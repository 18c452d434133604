-- One row: the last position given, and who may give the next. Every batch compares and sets `epoch` and `position`.
CREATE TABLE keyledger.sequencer (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    position bigint NOT NULL DEFAULT 0,
    epoch bigint NOT NULL DEFAULT 0,
    holder uuid,
    held_until timestamptz
)
