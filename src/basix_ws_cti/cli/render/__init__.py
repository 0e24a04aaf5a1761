"""Output of feeds and states: text lines, tables, JSON and notices."""
