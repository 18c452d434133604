-- How many keys a subject has in each bucket of time: a tree over `created_at` in microseconds, in which a bucket is
-- 2^shift of them and holds 64 of the next shift. A bucket that ever had (`entered`) more than a few hundred keys is
-- split. `keys` are all that are there now, `live` those neither revoked nor expired.
CREATE TABLE keyledger.key_counts (
    subject text NOT NULL,
    shift integer NOT NULL,
    bucket bigint NOT NULL,
    entered bigint NOT NULL,
    keys bigint NOT NULL,
    live bigint NOT NULL,
    PRIMARY KEY (subject, shift, bucket)
)
