"""The past, read from the events alone."""
