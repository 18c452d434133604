-- Take the sequencer's role, if nobody else holds it; the new epoch keeps out whoever held it before.
UPDATE keyledger.sequencer
SET epoch = epoch + 1, holder = %(holder)s, held_until = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE held_until IS NULL OR held_until < clock_timestamp() OR holder = %(holder)s
RETURNING epoch, position
