"""The wallboard in the browser."""
