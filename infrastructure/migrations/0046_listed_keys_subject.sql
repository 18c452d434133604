-- The keys of a subject in a span of time, which are counted anew where their bucket is split.
CREATE INDEX listed_keys_subject ON keyledger.listed_keys (subject, created_at)
