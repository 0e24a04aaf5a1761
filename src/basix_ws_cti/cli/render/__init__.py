"""Output formats of the commands: lines, tables, JSON."""
