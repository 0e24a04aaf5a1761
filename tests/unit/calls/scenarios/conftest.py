"""Fixture that compares the rows of call scripts with tables."""

from __future__ import annotations

import pytest
from support.call_feeds import COMPLETE_FEEDS, INTERRUPTED_FEEDS
from support.call_tables import assert_rows

# Interrupted feeds are slow: each script is played once for each of its events.
FEEDS = [
    *COMPLETE_FEEDS,
    *(pytest.param(name, marks=pytest.mark.slow) for name in INTERRUPTED_FEEDS),
]


@pytest.fixture(params=FEEDS)
def check(request):
    """Return a function that plays a script and compares the rows with tables.

    The test runs once for each kind of feed. With a feed that misses events the rows are not
    compared: ``call_feeds`` checks that they do not contradict themselves.
    """

    def check(script, expected):
        if request.param in INTERRUPTED_FEEDS:
            for _ in INTERRUPTED_FEEDS[request.param](script):
                pass
            return
        for calls in COMPLETE_FEEDS[request.param](script):
            assert_rows(calls, expected)

    return check
