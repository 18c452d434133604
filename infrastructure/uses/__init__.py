"""Recording uses: buffered, spooled to a file, or stored before the answer."""
