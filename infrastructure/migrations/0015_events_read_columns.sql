-- What replay must find without reading states: whose key an event makes it (NULL: as before), when it has it expire
-- (NULL: as before, or never), the key's latest accepted use up to this event, and by how much a use was ever recorded
-- after a later one, up to this event.
ALTER TABLE keyledger.events
    ADD COLUMN subject text,
    ADD COLUMN expiration timestamptz,
    ADD COLUMN last_used_at timestamptz,
    ADD COLUMN lateness interval
