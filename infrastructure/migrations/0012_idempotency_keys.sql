-- Which create an idempotency key belongs to, and the fingerprint of its arguments.
CREATE TABLE keyledger.idempotency_keys (
    idempotency_key text PRIMARY KEY,
    fingerprint bytea NOT NULL,
    originator_id uuid NOT NULL
)
