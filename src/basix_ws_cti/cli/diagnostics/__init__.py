"""Step-by-step examination of the way to a feed."""
