-- Everything of keyledger lives in a schema of its own, beside the service's tables.
CREATE SCHEMA IF NOT EXISTS keyledger
