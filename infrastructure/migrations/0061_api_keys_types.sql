-- A subject's keys of other types than the usual one, of which there are few or none.
CREATE INDEX api_keys_types ON keyledger.api_keys (subject, type, created_at DESC, id DESC) WHERE type <> 'api_key'
