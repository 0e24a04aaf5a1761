"""Protocol of live feeds."""

import inspect

from basix_ws_cti.client.feed import Feed
from basix_ws_cti.client.live_feed import LiveFeed


def test_the_protocol_has_all_members_of_a_live_feed():
    members = {name for name in vars(LiveFeed) if not name.startswith("_")}
    assert members == {name for name in vars(Feed) if not name.startswith("_")}
    for name in members:
        expected, given = getattr(LiveFeed, name), getattr(Feed, name)
        if not isinstance(expected, property):
            assert inspect.signature(given) == inspect.signature(expected), name
