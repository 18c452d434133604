-- The epoch of the sequencer, the last position that was given, and whether somebody holds the role.
SELECT epoch, position, coalesce(held_until > clock_timestamp(), false) FROM keyledger.sequencer
