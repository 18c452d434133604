-- The last position that was given; nobody gives another until this transaction ends.
SELECT position FROM keyledger.sequencer FOR UPDATE
