-- Sources of uses are done with: nobody sends any more of them.
UPDATE keyledger.flushes SET progress = NULL WHERE flush_id = ANY(%(sources)s)
