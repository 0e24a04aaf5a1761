"""Model behind every wallboard: rows, labels and feed history, without terminal or browser."""
