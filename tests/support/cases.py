"""Tables of small cases that run as one test.

``pytest.mark.parametrize`` makes a test of each case, which costs a few milliseconds. ``for_each``
takes the same arguments and runs all cases in one test. It suits cases that take microseconds and
need no fixture of their own.
"""

from __future__ import annotations

import contextlib
import functools
import inspect


def for_each(names, values):
    """Return a decorator that calls a test once for each of the values.

    - ``names``: the parameter that gets the value, or several, separated by commas, for values
      that are tuples.
    - ``values``: values or ``pytest.param`` objects without marks; at least one.

    An exception ends the test; a note of it names the value. The decorator can be used several
    times on one test, and together with ``pytest.mark.parametrize`` and fixtures, which all cases
    share.
    """
    keys = [name.strip() for name in names.split(",")]
    cases = [_case(keys, value) for value in values]
    assert cases, f"no values for {names}"

    def decorate(test):
        if inspect.iscoroutinefunction(test):

            @functools.wraps(test)
            async def run(*args, **kwargs):
                for case in cases:
                    with _named(case):
                        await test(*args, **kwargs, **case)

        else:

            @functools.wraps(test)
            def run(*args, **kwargs):
                for case in cases:
                    with _named(case):
                        test(*args, **kwargs, **case)

        signature = inspect.signature(test)
        others = [one for name, one in signature.parameters.items() if name not in keys]
        run.__signature__ = signature.replace(parameters=others)
        return run

    return decorate


def _case(keys, value):
    """Return the arguments of a case."""
    if hasattr(value, "marks"):  # pytest.param
        assert not value.marks, f"{value} has marks: use pytest.mark.parametrize"
        values = value.values
    else:
        values = (value,) if len(keys) == 1 else value
    return dict(zip(keys, values, strict=True))


@contextlib.contextmanager
def _named(case):
    """Add the arguments of a case to an exception."""
    try:
        yield
    except BaseException as error:  # what pytest.fail raises is no Exception
        error.add_note("for " + ", ".join(f"{key}={value!r}" for key, value in case.items()))
        raise
