"""PostgreSQL, the embedded server and the event codec: everything that does I/O."""
