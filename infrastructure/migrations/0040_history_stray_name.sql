-- A stray has entries that are not within the minute before `high_at`: it came late, or a clock is wrong.
ALTER TABLE keyledger.history RENAME COLUMN late TO stray
