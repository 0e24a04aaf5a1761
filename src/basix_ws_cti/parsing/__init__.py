"""Reads frames: from bytes to messages and elements. No I/O, no clock."""
