-- How far a source of uses is stored, NULL where it is done with; no row where nothing of it is stored.
SELECT progress FROM keyledger.flushes WHERE flush_id = %(source)s
