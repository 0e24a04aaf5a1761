"""One feed for many machines, over a stream of a Redis or Valkey server."""
