-- A key's history, with some event types or all.
CREATE INDEX history_stream ON keyledger.history (originator_id, topic, position)
