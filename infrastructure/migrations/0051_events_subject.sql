-- Replay finds a subject's keys by this column; what was stored before it came has been filled in by now.
ALTER TABLE keyledger.events
    ADD CONSTRAINT events_subject CHECK (topic <> 'KeyCreated' OR subject IS NOT NULL)
