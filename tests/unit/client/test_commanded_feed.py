"""Commands of a feed: what is sent, and how long its effect is waited for."""

from __future__ import annotations

import pytest
from support.fake_pbx import FakePbx

from basix_ws_cti import ClickToCall, Client, UsageError
from basix_ws_cti.client.commanded_feed import CommandedFeed, effect_timeout
from basix_ws_cti.client.live_feed import FeedCore


class Recorder(CommandedFeed):
    """Feed that records what it is to send."""

    def __init__(self):
        super().__init__(FeedCore("feed", "async with feed:"), runner=None)
        self.sent = []

    async def _send(self, command, confirm_timeout=None):
        self.sent.append((command.sent, confirm_timeout))


async def test_commands_are_sent_with_the_time_to_wait_for_their_effect():
    feed = Recorder()
    await feed.hangup("u")
    await feed.hangup("u", confirm=True)
    await feed.park("u", 60.0, confirm=True, confirm_timeout=2)
    await feed.transfer("u", "1002", user_id=7)
    assert feed.sent == [
        ({"cmd": "hangup", "uuid": "u"}, None),
        ({"cmd": "hangup", "uuid": "u"}, 5),
        ({"cmd": "park", "uuid": "u", "timeout": 60}, 2),
        ({"cmd": "transfer", "uuid": "u", "user_id": 7, "destination": "1002"}, None),
    ]


async def test_invalid_arguments_are_refused_before_anything_is_sent():
    feed = Recorder()
    with pytest.raises(UsageError, match="confirm must be True or False"):
        await feed.hangup("u", confirm="no")
    with pytest.raises(UsageError, match="uuid must be a str"):
        await feed.park(None)
    with pytest.raises(UsageError, match="transfer needs a destination"):
        await feed.transfer("u", "")
    with pytest.raises(UsageError, match="api must be an HttpApi, got str"):
        await feed.call_user("api", "1002")
    assert feed.sent == []


async def test_call_user_needs_a_running_feed():
    class Api:
        async def call_user(self, destination):
            raise AssertionError("it must not be called")

    with pytest.raises(UsageError, match="the feed is not running"):
        await Recorder().call_user(Api(), "1002")


async def test_call_user_passes_its_arguments_to_the_api():
    """The result is a call that the feed may show later."""
    requests = []

    class Api:
        async def call_user(self, destination, **options):
            requests.append((destination, options))
            return ["u"]

    async with Client("fake", connector=FakePbx()) as client:
        call = await client.call_user(Api(), "1002", user_id=7)
        assert isinstance(call, ClickToCall)
        assert call.uuids == ("u",)
    assert requests == [("1002", {"user_id": 7})]


def test_time_to_wait_must_be_positive():
    assert effect_timeout(confirm=False, confirm_timeout=3) is None
    assert effect_timeout(confirm=True, confirm_timeout=3) == 3
    with pytest.raises(UsageError, match="confirm_timeout must be a positive number"):
        effect_timeout(confirm=True, confirm_timeout=0)
