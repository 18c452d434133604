-- The events that stand later than the time that they speak of.
CREATE INDEX history_late ON keyledger.history (position) WHERE late
