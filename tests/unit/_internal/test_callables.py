from __future__ import annotations

import functools

import pytest

from basix_ws_cti._internal.callables import callback_kind
from basix_ws_cti.exceptions import UsageError


def does_it(item):
    return item


async def waits(item):
    return item


async def iterates(item):
    yield item


def generates(item):
    yield item


class Plain:
    def __call__(self, item):
        return item

    def method(self, item):
        return item

    async def waiting_method(self, item):
        return item


class Waiting:
    async def __call__(self, item):
        return item


class Iterating:
    async def __call__(self, item):
        yield item


@pytest.mark.parametrize(
    ("callback", "sort"),
    [
        (does_it, "sync"),
        (waits, "async"),
        (iterates, "generator"),
        (generates, "sync"),  # asyncio has no part in it
        (lambda item: waits(item), "sync"),  # noqa: PLW0108 - what it returns is not known before
        (print, "sync"),
        (Plain, "sync"),
        (Plain(), "sync"),
        (Plain().method, "sync"),
        (Plain().waiting_method, "async"),
        (Waiting(), "async"),
        (Iterating(), "generator"),
        (functools.partial(does_it, 1), "sync"),
        (functools.partial(waits, 1), "async"),
        (functools.partial(functools.partial(iterates), 1), "generator"),
        (functools.partial(Waiting()), "async"),
        (functools.partial(Plain().waiting_method), "async"),
    ],
)
def test_what_comes_of_calling_it(callback, sort):
    """A callback does its work when called, or by what it returns, through partials and objects."""
    assert callback_kind("a callback", callback) == sort


@pytest.mark.parametrize("callback", [None, 5, "does_it", [does_it]])
def test_what_can_not_be_called(callback):
    """What is not callable is a UsageError that says what it is called, and what it is."""
    with pytest.raises(UsageError) as caught:
        callback_kind("on_msg", callback)
    assert str(caught.value) == f"on_msg must be callable, not {type(callback).__name__}"
