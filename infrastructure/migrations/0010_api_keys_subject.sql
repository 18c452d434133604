-- The list of a subject's keys, newest first.
CREATE INDEX api_keys_subject ON keyledger.api_keys (subject, created_at DESC, id DESC)
