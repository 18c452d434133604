-- The keys that were to expire in a span of time.
CREATE INDEX events_expiring ON keyledger.events (expiration, originator_id) WHERE expiration IS NOT NULL
