-- What a user did; uses have no actor.
CREATE INDEX history_user ON keyledger.history (user_id, topic, position) WHERE user_id IS NOT NULL
