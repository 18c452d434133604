-- Give the sequencer's role to whoever comes next.
UPDATE keyledger.sequencer SET held_until = NULL WHERE epoch = %(epoch)s
