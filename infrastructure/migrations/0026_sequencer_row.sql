-- The row of the sequencer, at the beginning.
INSERT INTO keyledger.sequencer DEFAULT VALUES
