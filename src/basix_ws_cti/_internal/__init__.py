"""Private helper modules that several packages share."""
