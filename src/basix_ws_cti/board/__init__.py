"""Model behind every wallboard: rows, labels and feed history. No terminal, no browser."""
