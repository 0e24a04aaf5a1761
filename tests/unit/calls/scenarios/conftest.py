"""Fixture that compares the rows of call scripts with tables."""

from __future__ import annotations

import pytest
from support.call_feeds import COMPLETE_FEEDS, INTERRUPTED_FEEDS
from support.call_tables import assert_rows

# Interrupted feeds are slow: each script is played once for each of its events.
FEEDS = [
    "complete feeds",
    *(pytest.param(name, marks=pytest.mark.slow) for name in INTERRUPTED_FEEDS),
]


@pytest.fixture(params=FEEDS)
def check(request):
    """Return a function that plays a script and compares the rows with tables.

    The test runs once for all complete feeds, and once for each kind of interrupted feed. With a
    feed that misses events the rows are not compared: ``call_feeds`` checks that they do not
    contradict themselves.
    """

    def check(script, expected):
        if request.param in INTERRUPTED_FEEDS:
            for _ in INTERRUPTED_FEEDS[request.param](script):
                pass
            return
        for name, feed in COMPLETE_FEEDS.items():
            try:
                for calls in feed(script):
                    assert_rows(calls, expected)
            except BaseException as error:
                error.add_note(f"with the feed {name!r}")
                raise

    return check
