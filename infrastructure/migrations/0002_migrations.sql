-- Which of these files have been applied to this database.
CREATE TABLE keyledger.migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
