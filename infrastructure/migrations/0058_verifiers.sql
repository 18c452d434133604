-- The processes that decide on secrets from memory, until when by the database's clock, how long their leases are, and
-- the last barrier that each has acknowledged: a row is written three times a minute, and for each barrier.
CREATE TABLE keyledger.verifiers (
    id uuid PRIMARY KEY,
    expires_at timestamptz NOT NULL,
    lease interval NOT NULL,
    acknowledged bigint NOT NULL
)
