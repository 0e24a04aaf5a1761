"""Stays connected to a PBX and delivers changes, messages and call events."""
