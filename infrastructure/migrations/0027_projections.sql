-- How far each read model has come; what of its fold is kept between batches; the event that stopped it.
CREATE TABLE keyledger.projections (
    name text PRIMARY KEY,
    version integer NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    state bytea,
    failed_position bigint,
    failed_at timestamptz,
    failure text
)
