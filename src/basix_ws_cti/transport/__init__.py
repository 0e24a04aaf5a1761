"""One authenticated WebSocket connection to the feed: addresses, credentials, frames."""
