"""Selection of changes: kinds, keys and functions; warnings about kinds that do not exist."""

from __future__ import annotations

import re
import warnings

import pytest

from basix_ws_cti import Added, Channel, Gap, GroupMember, User
from basix_ws_cti.client.change_filter import make_change_filter
from basix_ws_cti.exceptions import UsageError

USER = Added("user", User(id=7, label="aiko"))
CHANNEL = Added("channel", Channel(uuid="u"))
MEMBER = Added("group_member", GroupMember(user_id=7, group_id=9))
GAP = Gap(None, None, None)
ITEMS = (USER, CHANNEL, MEMBER, GAP)


def test_no_selection_needs_no_filter():
    assert make_change_filter(None, None, None) is None


@pytest.mark.parametrize(
    ("kind", "key", "where", "selected"),
    [
        ("user", None, None, [USER, GAP]),
        ("user", 7, None, [USER, GAP]),
        ("user", 8, None, [GAP]),
        (None, "u", None, [CHANNEL, GAP]),
        ("group_member", "7:9", None, [MEMBER, GAP]),
        (None, None, lambda change: change.key, [USER, CHANNEL, MEMBER, GAP]),
        ("channel", "u", lambda change: False, [GAP]),
    ],
)
def test_kind_key_and_function_select_changes(kind, key, where, selected):
    """A gap is always selected."""
    wants = make_change_filter(kind, key, where)
    assert [item for item in ITEMS if wants(item)] == selected


async def asynchronous(change):
    return True


@pytest.mark.parametrize(
    ("kind", "key", "where", "message"),
    [
        (5, None, None, "kind must be a str, got int"),
        (None, True, None, "key must be an int or a str, got bool"),
        (None, 1.0, None, "key must be an int or a str, got float"),
        ("user", "10001001", None, "key of kind 'user' must be an int, got str"),
        ("channel", 5, None, "key of kind 'channel' must be a str, got int"),
        ("domain", "acme", None, "key of kind 'domain' must be an int, got str"),
        (None, None, 5, "where must be callable, got int"),
        (None, None, lambda: True, "where must accept 1 positional argument(s): (change)"),
        (
            None,
            None,
            asynchronous,
            "where must be a plain function (def), got a coroutine function",
        ),
    ],
)
def test_impossible_selection_is_a_usage_error(kind, key, where, message):
    with pytest.raises(UsageError) as caught:
        make_change_filter(kind, key, where)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("kind", "key", "message"),
    [
        ("channels", None, "unknown kind 'channels'; did you mean 'channel'?"),
        ("Channel", None, "unknown kind 'Channel'; did you mean 'channel'?"),
        ("chanel", "u", "unknown kind 'chanel'; did you mean 'channel'?"),
        ("robot", 5, "unknown kind 'robot'; known are channel, channel_waiting, "),
        (None, "10001001", "key is a number as text, but ids are ints: pass an int"),
    ],
)
def test_selection_that_matches_nothing_so_far_warns(kind, key, message):
    """A PBX may have further kinds, so that this is no error. The warning names the caller."""
    with pytest.warns(UserWarning, match=re.escape(message)) as caught:
        assert make_change_filter(kind, key, None) is not None
    assert [one.filename for one in caught] == [__file__]


def test_known_selection_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_change_filter("group_member", 5, None)
        make_change_filter(None, 5, None)


def test_function_that_returns_a_coroutine_is_reported_once():
    wants = make_change_filter(None, None, lambda change: asynchronous(change))  # noqa: PLW0108
    with pytest.raises(UsageError, match="^where returned a coroutine: pass a plain function"):
        wants(USER)
    assert [wants(item) for item in ITEMS] == [False, False, False, True]
