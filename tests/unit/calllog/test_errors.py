"""Errors of databases: about the data or not, and as text without personal data."""

from __future__ import annotations

import sqlite3

import psycopg.errors
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import (
    DataError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    StatementError,
    TimeoutError,  # noqa: A004 - SQLAlchemy's
)

from basix_ws_cti.calllog.errors import describe, is_about_data
from basix_ws_cti.exceptions import CallLogError

NUMBER = "0312341234"
ROW = {"number": NUMBER}

TOO_LONG = """
CREATE TEMP TABLE t (x text UNIQUE);
INSERT INTO t SELECT string_agg(md5(n::text), '') FROM generate_series(1, 999) n
"""


def of(kind, original):
    return kind("INSERT …", ROW, original)


@pytest.mark.parametrize(
    ("error", "expected", "description"),
    [
        (
            of(IntegrityError, sqlite3.IntegrityError("NOT NULL constraint failed: calls.id")),
            True,
            "IntegrityError: NOT NULL constraint failed: calls.id",
        ),
        (of(DataError, psycopg.DataError(f'invalid "{NUMBER}"')), True, "DataError"),
        (
            of(ProgrammingError, psycopg.errors.CardinalityViolation("twice\nDETAIL: row")),
            True,
            "CardinalityViolation: twice",
        ),
        (of(ProgrammingError, psycopg.errors.DatatypeMismatch("text")), True, None),
        (of(OperationalError, psycopg.errors.ProgramLimitExceeded("too large")), True, None),
        (
            of(OperationalError, sqlite3.OperationalError("database is locked")),
            False,
            "OperationalError: database is locked",
        ),
        (of(OperationalError, psycopg.errors.DeadlockDetected("deadlock")), False, None),
        (of(ProgrammingError, psycopg.errors.UndefinedTable("no table")), False, None),
        (of(OperationalError, psycopg.OperationalError("\nconnection lost\nmore")), False,
         "OperationalError: connection lost"),
        (StatementError("x", "INSERT", ROW, ValueError(NUMBER)), True, "ValueError"),
        (TimeoutError("pool"), False, "TimeoutError"),
        (ValueError(NUMBER), True, "ValueError"),
        (MemoryError(), False, "MemoryError"),
        (OSError(5, NUMBER), False, "OSError"),
        (CallLogError("calls.db", "tables of version 9"), False, "tables of version 9"),
    ],
)  # fmt: skip
def test_error_is_classified_and_described(error, expected, description):
    assert is_about_data(error) is expected
    if description is not None:
        assert describe(error) == description
    assert NUMBER not in describe(error)


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "description"),
    [
        (f"SELECT '{NUMBER}x'::bigint", "InvalidTextRepresentation"),
        (f"SELECT '{NUMBER}99999999999999'::bigint", "NumericValueOutOfRange"),
        (
            f"CREATE TEMP TABLE t (x text UNIQUE); INSERT INTO t VALUES ('{NUMBER}'), ('{NUMBER}')",
            "UniqueViolation in t, t_x_key",
        ),
        (
            f"CREATE TEMP TABLE t (x text, y text NOT NULL); INSERT INTO t VALUES ('{NUMBER}')",
            "NotNullViolation in t, y",
        ),
        (TOO_LONG, None),
    ],
)
def test_postgres_error_about_data_quotes_no_value(new_postgres, statement, description):
    engine = create_engine(new_postgres())
    with pytest.raises(Exception, match=r".") as caught, engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
    assert is_about_data(caught.value)
    assert NUMBER not in describe(caught.value)
    if description is not None:
        assert describe(caught.value) == description
