"""Kinds of callbacks: synchronous, asynchronous and generator functions."""

from __future__ import annotations

import functools

import pytest
from support.cases import for_each

from basix_ws_cti._internal.callables import (
    PlainFunction,
    callback_kind,
    check_function,
    refuse_awaitable,
)
from basix_ws_cti.exceptions import UsageError


def synchronous(item):
    return item


async def asynchronous(item):
    return item


async def async_generator(item):
    yield item


def generator(item):
    yield item


class SyncObject:
    def __call__(self, item):
        return item

    def method(self, item):
        return item

    async def async_method(self, item):
        return item


class AsyncObject:
    async def __call__(self, item):
        return item


class AsyncGeneratorObject:
    async def __call__(self, item):
        yield item


@for_each(
    "callback, kind",
    [
        (synchronous, "sync"),
        (asynchronous, "async"),
        (async_generator, "generator"),
        (generator, "sync"),  # not an asynchronous generator
        (lambda item: asynchronous(item), "sync"),  # noqa: PLW0108 - the result is unknown
        (print, "sync"),
        (SyncObject, "sync"),
        (AsyncObject, "sync"),  # a call makes an object
        (SyncObject(), "sync"),
        (SyncObject().method, "sync"),
        (SyncObject().async_method, "async"),
        (AsyncObject(), "async"),
        (AsyncGeneratorObject(), "generator"),
        (functools.partial(synchronous, 1), "sync"),
        (functools.partial(asynchronous, 1), "async"),
        (functools.partial(functools.partial(async_generator), 1), "generator"),
        (functools.partial(AsyncObject()), "async"),
        (functools.partial(SyncObject().async_method), "async"),
    ],
)
def test_callback_kind_sees_through_partials_and_objects(callback, kind):
    assert callback_kind("a callback", callback) == kind


@for_each("callback", [None, 5, "synchronous", [synchronous]])
def test_callback_that_is_not_callable_is_a_usage_error(callback):
    """The error contains the name of the option and the type of the value."""
    with pytest.raises(UsageError) as caught:
        callback_kind("on_msg", callback)
    assert (
        str(caught.value)
        == f"on_msg must be callable, got {'None' if callback is None else type(callback).__name__}"
    )


@for_each(
    "callback",
    [synchronous, asynchronous, lambda *items: None, SyncObject().method, print, min, type],
)
def test_callback_that_accepts_its_arguments_passes(callback):
    """Some built-in functions have no signature, and are accepted."""
    assert callback_kind("a callback", callback, "item") in {"sync", "async"}


@for_each(
    "callback",
    [lambda: None, lambda a, b: None, lambda *, item: None, functools.partial(synchronous, 1)],
)
def test_callback_that_cannot_take_its_arguments_is_a_usage_error(callback):
    with pytest.raises(UsageError) as caught:
        callback_kind("a callback", callback, "item")
    assert str(caught.value) == "a callback must accept 1 positional argument(s): (item)"


def test_only_plain_functions_pass_as_functions():
    check_function("where", synchronous, "item")
    check_function("where", None, optional=True)
    for function, found in (
        (asynchronous, "a coroutine function"),
        (AsyncObject(), "a coroutine function"),
        (functools.partial(asynchronous), "a coroutine function"),
        (async_generator, "an async generator"),
    ):
        with pytest.raises(UsageError) as caught:
            check_function("where", function, "item")
        assert str(caught.value) == f"where must be a plain function (def), got {found}"
    with pytest.raises(UsageError, match="^where must be callable, got None"):
        check_function("where", None)


class Awaitable:
    def __await__(self):
        yield


def test_awaitable_result_of_a_plain_function_is_a_usage_error():
    """A coroutine is closed, so that Python does not warn about it."""
    for result in (None, 0, "text", [1]):
        refuse_awaitable("where", result)
    for result, kind in ((asynchronous(1), "coroutine"), (Awaitable(), "Awaitable")):
        with pytest.raises(UsageError) as caught:
            refuse_awaitable("where", result)
        assert str(caught.value) == f"where returned a {kind}: pass a plain function (def)"
    with pytest.raises(UsageError, match="^where returned a coroutine: do this"):
        refuse_awaitable("where", asynchronous(1), "do this")


def test_plain_function_reports_an_awaitable_result_once():
    calls = []

    def function(result):
        calls.append(result)
        return result

    plain = PlainFunction("where", function)
    assert [plain(result) for result in (None, True, False, 7)] == [None, True, False, 7]
    with pytest.raises(UsageError, match="^where returned a Awaitable"):
        plain(Awaitable())
    assert not plain.is_usable
    assert plain(7) is None
    assert len(calls) == 5
