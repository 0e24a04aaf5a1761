"""Helpers without a subject of their own; no module here is public."""
