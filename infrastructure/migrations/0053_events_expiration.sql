-- When an event has its key expire (NULL: as before, or never): replay finds by it what expired in a span of time.
ALTER TABLE keyledger.events ADD COLUMN expiration timestamptz
