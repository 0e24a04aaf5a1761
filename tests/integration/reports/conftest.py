"""Fixtures: a database of each kind."""

from support.log_databases import database, new_database, new_postgres, postgres_server

__all__ = ["database", "new_database", "new_postgres", "postgres_server"]
