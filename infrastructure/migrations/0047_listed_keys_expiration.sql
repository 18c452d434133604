-- The keys that expire in a span of time.
CREATE INDEX listed_keys_expiration ON keyledger.listed_keys (expiration)
WHERE NOT revoked AND expiration IS NOT NULL
