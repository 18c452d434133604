-- At most one KeyRevoked a stream, whatever races.
CREATE UNIQUE INDEX events_one_revocation ON keyledger.events (originator_id) WHERE topic = 'KeyRevoked'
