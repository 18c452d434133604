-- What the usage read model says of a key beside its last use; a key that was only refused has no last use.
ALTER TABLE keyledger.key_usage
    ALTER COLUMN last_used_at DROP NOT NULL,
    ADD COLUMN last_address text,
    ADD COLUMN first_used_at timestamptz,
    ADD COLUMN first_address text,
    ADD COLUMN uses bigint NOT NULL DEFAULT 0,
    ADD COLUMN refused bigint NOT NULL DEFAULT 0
