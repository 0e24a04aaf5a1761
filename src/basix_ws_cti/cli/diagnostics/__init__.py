"""Step-by-step examination of a connection, for the command ``doctor``."""
