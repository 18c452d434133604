-- When the database recorded the event at a position.
SELECT recorded_at FROM keyledger.positions WHERE position = %(position)s
