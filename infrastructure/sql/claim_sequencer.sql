-- Take the sequencer's role, if nobody else holds it; the new epoch keeps out whoever held it before.
-- One that is held for longer than it ever is, is held by a clock that was set back since.
UPDATE keyledger.sequencer
SET epoch = epoch + 1, holder = %(holder)s, held_until = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE held_until IS NULL OR held_until < clock_timestamp() OR holder = %(holder)s
    OR held_until > clock_timestamp() + 2 * make_interval(secs => %(seconds)s)
RETURNING epoch, position
