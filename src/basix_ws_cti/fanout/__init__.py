"""Fan-out: one feed of a PBX for many machines, through a stream of a Redis server."""
