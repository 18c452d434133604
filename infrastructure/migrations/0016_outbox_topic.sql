-- Who asks what has no position yet asks mostly for lifecycle events.
ALTER TABLE keyledger.outbox ADD COLUMN topic text
