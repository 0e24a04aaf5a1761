"""Keeps the current state of the PBX and reports what changed. No I/O, no clock."""
