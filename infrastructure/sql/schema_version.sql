-- The last migration that was applied.
SELECT max(version) FROM keyledger.migrations
