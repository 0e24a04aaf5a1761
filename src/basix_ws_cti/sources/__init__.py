"""Feeds behind one interface: a live PBX, a simulated one, or a recording."""
