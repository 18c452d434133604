-- Hold the sequencer's role for longer.
UPDATE keyledger.sequencer SET held_until = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE epoch = %(epoch)s
RETURNING position
