-- Barriers: whoever raises one waits until every verifier has seen it, and with it all that was committed before.
CREATE TABLE keyledger.barriers (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    raised_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
