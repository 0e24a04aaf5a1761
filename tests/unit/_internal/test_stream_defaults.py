"""Defaults of the stream: publisher and follower use the same ones."""

from __future__ import annotations

import inspect

from basix_ws_cti._internal.stream_defaults import DEFAULT_MAX_ENTRIES, DEFAULT_NAME, MIN_ENTRIES
from basix_ws_cti.fanout import Follower, Publisher


def default_of(function, parameter):
    return inspect.signature(function).parameters[parameter].default


def test_publisher_and_follower_use_the_same_stream():
    assert default_of(Publisher, "stream") == default_of(Follower, "stream") == DEFAULT_NAME


def test_default_length_is_one_that_a_publisher_accepts():
    assert default_of(Publisher, "max_entries") == DEFAULT_MAX_ENTRIES >= MIN_ENTRIES
