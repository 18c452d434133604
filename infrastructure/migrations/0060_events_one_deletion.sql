-- At most one KeyDeleted a stream, whatever races.
CREATE UNIQUE INDEX events_one_deletion ON keyledger.events (originator_id) WHERE topic = 'KeyDeleted'
