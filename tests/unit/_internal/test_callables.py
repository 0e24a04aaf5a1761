"""Kinds of callbacks: synchronous, asynchronous and generator functions."""

from __future__ import annotations

import functools

import pytest

from basix_ws_cti._internal.callables import callback_kind
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


@pytest.mark.parametrize(
    ("callback", "kind"),
    [
        (synchronous, "sync"),
        (asynchronous, "async"),
        (async_generator, "generator"),
        (generator, "sync"),  # not an asynchronous generator
        (lambda item: asynchronous(item), "sync"),  # noqa: PLW0108 - the result is unknown
        (print, "sync"),
        (SyncObject, "sync"),
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


@pytest.mark.parametrize("callback", [None, 5, "synchronous", [synchronous]])
def test_callback_that_is_not_callable_is_a_usage_error(callback):
    """The error contains the name of the option and the type of the value."""
    with pytest.raises(UsageError) as caught:
        callback_kind("on_msg", callback)
    assert str(caught.value) == f"on_msg must be callable, not {type(callback).__name__}"
