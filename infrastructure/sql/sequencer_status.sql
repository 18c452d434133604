-- The last position that was given, and who may give the next.
SELECT
    position, epoch, holder, coalesce(held_until > clock_timestamp(), false), held_until,
    (SELECT count(*) FROM keyledger.outbox)
FROM keyledger.sequencer
