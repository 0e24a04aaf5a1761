"""Decoding of frames into messages and elements. No I/O, no clock."""
