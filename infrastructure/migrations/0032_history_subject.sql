-- The history of a subject's keys, with some event types or all.
CREATE INDEX history_subject ON keyledger.history (subject, topic, position)
