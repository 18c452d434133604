-- The keys that were ever a subject's.
CREATE INDEX positions_subject ON keyledger.positions (subject, originator_id) WHERE subject IS NOT NULL
