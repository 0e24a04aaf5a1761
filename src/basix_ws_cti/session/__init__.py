"""State of one feed over all of its connections. No I/O, no clock."""
