"""Fixtures: databases of each kind for a call log."""

from __future__ import annotations

import itertools

import psycopg
import pytest

from support.postgres_server import PostgresServer

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_server():
    """A PostgreSQL server that runs for all tests."""
    server = PostgresServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def new_postgres(postgres_server):
    """Return a function that creates a database on the server and returns its URL."""

    def create():
        name = f"log{next(_numbers)}"
        url = postgres_server.url.replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return postgres_server.url.rpartition("/")[0] + f"/{name}"

    return create


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow]),
    ]
)
def new_database(request, tmp_path):
    """Return a function that returns the name of an empty database, once for each kind."""
    if request.param == "postgres":
        return request.getfixturevalue("new_postgres")
    numbers = itertools.count()
    return lambda: str(tmp_path / f"calls{next(numbers) or ''}.db")


@pytest.fixture
def database(new_database):
    """Name of an empty database, once for each kind."""
    return new_database()
