-- The audit history read model: one row an event. No index begins with the position, but by way of a filter: none can
-- be walked in place of the filter's own. `high_at` is the latest `last_at` up to here, so it never falls; `late` is
-- an event that begins more than a minute before it.
CREATE TABLE keyledger.history (
    position bigint NOT NULL,
    originator_id uuid NOT NULL,
    originator_version bigint NOT NULL,
    topic text NOT NULL,
    subject text NOT NULL,
    user_id text,
    organization_id text,
    ip_address text,
    request_id text,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    high_at timestamptz NOT NULL,
    late boolean NOT NULL,
    entries integer NOT NULL,
    revoked boolean NOT NULL,
    PRIMARY KEY (topic, position)
)
