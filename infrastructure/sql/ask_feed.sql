-- The keys that changed since a position, as one blob of their ids, with what a lease is granted on: all in one
-- snapshot. An event that was committed since the answer with that head is in the outbox now, or was given a later
-- position: a position up to the head was given by a transaction that the earlier snapshot saw, and with it the event.
SELECT
    CASE WHEN NOT pg_is_in_recovery() THEN extract(epoch FROM pg_postmaster_start_time())::text END AS server,
    (SELECT position FROM keyledger.sequencer) AS head,
    extract(epoch FROM clock_timestamp())::float8 AS database_time,
    (
        SELECT string_agg(uuid_send(changed.originator_id), ''::bytea)
        FROM (
            SELECT originator_id FROM keyledger.outbox WHERE topic <> 'KeyUsed'
            UNION
            SELECT originator_id FROM keyledger.positions WHERE topic <> 'KeyUsed' AND position > %(after)s::bigint
        ) AS changed
    ) AS changed,
    (SELECT count(*) FROM keyledger.outbox WHERE topic <> 'KeyUsed') AS waiting,
    coalesce((SELECT max(number) FROM keyledger.barriers), 0) AS barrier,
    (SELECT acknowledged FROM keyledger.verifiers WHERE id = %(verifier)s) AS acknowledged,
    (
        SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 FROM keyledger.verifiers
        WHERE id = %(verifier)s
    ) AS registered_seconds
