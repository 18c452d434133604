-- How far a source of uses is stored, by its own count; NULL once nobody will send any more of it. Its id is in
-- `flush_id`, as is that of each single flush of before.
ALTER TABLE keyledger.flushes ADD COLUMN progress bigint
