"""Live wallboard in the terminal, a Textual application."""
