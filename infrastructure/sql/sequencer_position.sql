-- The last position that was given.
SELECT position FROM keyledger.sequencer
