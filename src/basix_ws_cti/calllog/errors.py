"""Errors of databases: which of them are about the data, and their texts without personal data."""

from __future__ import annotations

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from basix_ws_cti.exceptions import CallLogError

# First two characters of PostgreSQL's codes for errors that the same rows cause each time: a key
# twice in one statement, invalid data, a violated constraint, and a row that is too large.
_ABOUT_DATA = ("21", "22", "23", "54")

# Codes of the same kind in a class with errors of other kinds: a value of the wrong type.
_WRONG_TYPE = ("42804", "42846")


def is_about_data(error: Exception) -> bool:
    """Return True if writing the same rows will fail at each attempt."""
    if isinstance(error, DBAPIError):
        code = _sqlstate(error)
        is_refused = isinstance(error, DataError | IntegrityError)
        return is_refused or code.startswith(_ABOUT_DATA) or code in _WRONG_TYPE
    if isinstance(error, StatementError):  # a value that the driver could not convert
        return True
    # Anything else is a defect in the conversion of a call, unless the system causes it.
    return not isinstance(error, SQLAlchemyError | OSError | MemoryError | CallLogError)


def describe(error: Exception) -> str:
    """Return an error as text without the statement and its parameters, which are personal data."""
    if isinstance(error, CallLogError):
        return error.problem
    original = getattr(error, "orig", None)
    kind = type(original or error).__name__
    if not isinstance(error, DBAPIError):  # of a conversion, or no error of the database at all
        return kind
    if isinstance(error, DataError | IntegrityError) and type(original).__module__ != "sqlite3":
        # PostgreSQL quotes the value: invalid input syntax for type bigint: "0312341234".
        diagnostics = getattr(original, "diag", None)
        names = [
            name
            for attribute in ("table_name", "column_name", "constraint_name")
            if (name := getattr(diagnostics, attribute, None))
        ]
        return f"{kind} in {', '.join(names)}" if names else kind
    # The first line of PostgreSQL's message; the second one may quote the row.
    return f"{kind}: {str(original).strip().partition(chr(10))[0]}"


def _sqlstate(error: DBAPIError) -> str:
    """Return PostgreSQL's code of an error; ``""`` for other databases."""
    return getattr(error.orig, "sqlstate", None) or ""
