-- Strays are found by time, not by position.
DROP INDEX keyledger.history_late
