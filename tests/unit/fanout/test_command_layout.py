"""Requests and replies as JSON."""

from __future__ import annotations

import pytest

from basix_ws_cti.fanout.command_layout import Reply, Request

UNREADABLE = Reply("failed", "the publisher's reply is unreadable")


@pytest.mark.parametrize(
    "reply", [Reply("done", uuids=("a", "b")), Reply("no_effect"), Reply("failed", "busy")]
)
def test_reply_is_read_as_it_was_written(reply):
    assert Reply.from_json(reply.to_json().encode()) == reply


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"outcome": "done", "problem": "", "uuids": 1}',
        b'{"outcome": "postponed", "problem": "", "uuids": []}',
        b'{"outcome": ["done"], "problem": "", "uuids": []}',
    ],
)
def test_unreadable_reply_and_unknown_outcome_are_failures(data):
    assert Reply.from_json(data) == UNREADABLE


@pytest.mark.parametrize("data", [b"{", b"[" * 100_000, b"[]", b"1", b"{}", b'{"v": 1}'])
def test_unreadable_request_is_none_that_is_known(data):
    assert Request.from_json(data) is None
