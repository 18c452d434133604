-- The control read model, one row a key: written with the event, and what a fold of the events gives.
CREATE TABLE keyledger.api_keys (
    id uuid PRIMARY KEY,
    version bigint NOT NULL,
    type text NOT NULL,
    name text NOT NULL,
    name_search text NOT NULL,
    subject text NOT NULL,
    description text,
    claims text,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text,
    updated_at timestamptz NOT NULL,
    expiration timestamptz,
    revoked_at timestamptz,
    revocation_reason text,
    digest_algorithm text NOT NULL,
    digest_kid text NOT NULL,
    digest bytea NOT NULL
)
