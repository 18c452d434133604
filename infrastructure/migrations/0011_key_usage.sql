-- The usage read model, apart from api_keys so that a use never touches what a revocation locks.
CREATE TABLE keyledger.key_usage (
    id uuid PRIMARY KEY,
    last_used_at timestamptz NOT NULL
)
