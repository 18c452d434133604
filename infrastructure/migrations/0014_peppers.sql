-- A fingerprint of each pepper that has been used here, to tell another one of the same id; never the pepper.
CREATE TABLE keyledger.peppers (
    kid text PRIMARY KEY,
    fingerprint bytea NOT NULL
)
