-- With which service credential it was done. The rows from before get theirs when the history is rebuilt, which its new
-- version has `migrate` do: only the events tell.
ALTER TABLE keyledger.history ADD COLUMN credential_id text
