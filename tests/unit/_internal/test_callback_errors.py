"""Log of errors that user-supplied functions raise."""

from __future__ import annotations

import functools
import json
import logging
import re
from pathlib import Path

import pytest
from support.cases import for_each

import basix_ws_cti
from basix_ws_cti import UsageError
from basix_ws_cti._internal.callback_errors import (
    MAX_ERROR_KINDS,
    CallbackErrors,
    name_of,
    place_of,
)

LOGGER = logging.getLogger("basix_ws_cti.test")


def fails(*_):
    raise KeyError("of Mr Yamada's call")


def decodes(*_):
    json.loads("{")


class Handler:
    def __call__(self, _):
        fails()

    def method(self, _):
        fails()


def decorated(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments)

    return wrapper


def error_of(function):
    """Return the exception that a function raises."""
    try:
        function(1)
    except Exception as error:  # noqa: BLE001 - the caller checks it
        return error
    raise AssertionError("it raised nothing")


def line_of(text):
    """Return the number of the line of this file that starts with this text."""
    source = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(source, 1) if line.strip() == text)


def lines(caplog):
    return [record.getMessage() for record in caplog.records]


@for_each(
    "function, name",
    [
        (fails, "fails"),
        (functools.partial(fails, 1), "fails"),
        (decorated(fails), "fails"),
        (Handler().method, "Handler.method"),
        (Handler(), "Handler"),
        (functools.partial(decorated(Handler().method)), "Handler.method"),
        ([].append, "list.append"),
        (len, "len"),
    ],
)
def test_name_is_that_of_the_users_function(function, name):
    """It is found below partial objects, decorators and methods; an object has its class's name."""
    assert name_of(function) == name


@for_each(
    "function, text",
    [
        (fails, 'raise KeyError("of Mr Yamada\'s call")'),
        (functools.partial(fails, 1), 'raise KeyError("of Mr Yamada\'s call")'),
        (decorated(fails), 'raise KeyError("of Mr Yamada\'s call")'),
        (Handler(), 'raise KeyError("of Mr Yamada\'s call")'),
        (decodes, 'json.loads("{")'),
    ],
)
def test_place_is_the_last_line_of_the_users_file(function, text):
    """An error in a library function has the place of the user's line that called it."""
    assert place_of(error_of(function), function) == f" at {__file__}:{line_of(text)}"


def test_place_of_a_builtin_function_is_the_line_outside_the_package():
    error = error_of(functools.partial(int, "x"))
    assert re.fullmatch(rf" at {re.escape(__file__)}:\d+", place_of(error, int))


def test_place_may_be_in_a_package_whose_name_starts_like_this_one():
    file = f"{Path(basix_ws_cti.__file__).parent}_app/views.py"
    namespace = {}
    exec(compile("def fails():\n    raise KeyError", file, "exec"), namespace)
    with pytest.raises(KeyError) as caught:
        namespace["fails"]()
    assert place_of(caught.value, print) == f" at {file}:2"


def test_error_without_a_traceback_has_no_place():
    assert place_of(KeyError(), len) == ""


def test_each_kind_of_error_is_logged_once_and_then_counted(caplog):
    """Counts are logged at powers of ten and at the end; the error's text never is."""
    errors = CallbackErrors(LOGGER)
    for _ in range(123):
        errors.log(error_of(fails), fails)
    errors.log(error_of(decodes), decodes)
    place = place_of(error_of(fails), fails)
    first = f"callback error: fails raised KeyError{place}"
    assert lines(caplog) == [
        *(first, f"{first} (10 times)", f"{first} (100 times)"),
        f"callback error: decodes raised JSONDecodeError{place_of(error_of(decodes), decodes)}",
    ]
    assert {record.levelname for record in caplog.records} == {"ERROR"}
    caplog.clear()
    errors.log_counts()
    errors.log_counts()
    assert lines(caplog) == [f"{first} (123 times)"]


def test_usage_error_is_logged_with_its_text(caplog):
    CallbackErrors(LOGGER).log(UsageError("size must be positive"), fails)
    assert lines(caplog) == [
        "callback error: fails raised UsageError: size must be positive",
    ]


def test_number_of_kinds_is_bounded(caplog):
    """Errors beyond the limit are counted together."""
    errors = CallbackErrors(LOGGER)
    for number in range(MAX_ERROR_KINDS + 10):
        kind = type(f"Error{number}", (Exception,), {})
        errors.log(kind(), fails)
    assert len(caplog.records) == MAX_ERROR_KINDS + 2
    assert lines(caplog)[-2:] == [
        "callback error: other callbacks raised errors",
        "callback error: other callbacks raised errors (10 times)",
    ]
