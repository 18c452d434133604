-- What was done with a credential; uses have no actor.
CREATE INDEX history_credential ON keyledger.history (credential_id, topic, position)
WHERE credential_id IS NOT NULL
