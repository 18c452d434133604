-- Each entry of the outbox has its topic.
ALTER TABLE keyledger.outbox ALTER COLUMN topic SET NOT NULL
