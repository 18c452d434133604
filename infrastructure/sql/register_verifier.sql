-- Register a verifier for so long, or for longer, and forget those that are long gone. Which barriers were raised before
-- it came is none of its business: it has decided nothing yet.
WITH gone AS (
    DELETE FROM keyledger.verifiers WHERE expires_at < clock_timestamp() - interval '1 hour' AND id <> %(verifier)s
)
INSERT INTO keyledger.verifiers (id, expires_at, lease, acknowledged)
VALUES (
    %(verifier)s, clock_timestamp() + make_interval(secs => %(seconds)s), make_interval(secs => %(lease_seconds)s),
    coalesce((SELECT max(number) FROM keyledger.barriers), 0)
)
ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at
