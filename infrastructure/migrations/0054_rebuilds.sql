-- The last rebuild of each read model: how far the tables beside the live ones have come, and since when they are
-- the live ones. A rebuild writes in each transaction only where `token` is still its own.
CREATE TABLE keyledger.rebuilds (
    name text PRIMARY KEY,
    token uuid NOT NULL,
    version integer NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    state bytea,
    failed_position bigint,
    failure text,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    switched_at timestamptz
)
