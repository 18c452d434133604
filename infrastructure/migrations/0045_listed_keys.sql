-- The listing read model: each key with each subject that it ever had, and how the key was counted there.
-- A row of a subject that the key has left (not `present`) says nothing more.
CREATE TABLE keyledger.listed_keys (
    id uuid NOT NULL,
    subject text NOT NULL,
    created_at timestamptz NOT NULL,
    expiration timestamptz,
    revoked boolean NOT NULL,
    present boolean NOT NULL,
    PRIMARY KEY (id, subject)
)
