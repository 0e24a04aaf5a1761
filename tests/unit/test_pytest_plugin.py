"""Fixtures and marker of the pytest plugin."""

from __future__ import annotations

import logging
import threading

import pytest
from websockets.sync.client import connect as websocket_connect

from basix_ws_cti import InfoEvent, InitialInfo, MessageParser, connect, feed_url
from basix_ws_cti.states import Ringing

pytest_plugins = ["pytester"]


def test_fixture_serves_a_blocking_client(basix_pbx):
    """Without asyncio, the PBX runs in a thread and a blocking client reads its feed."""
    parser = MessageParser()
    url = feed_url(**basix_pbx.connect_args)
    with websocket_connect(url, proxy=None, logger=logging.getLogger("bare")) as websocket:
        kinds = []
        while len(kinds) < len(basix_pbx.snapshot()):
            message = parser.parse(websocket.recv(timeout=10))
            if isinstance(message, InitialInfo):
                kinds.append(message.element_name)
        assert kinds == list(basix_pbx.snapshot())
        uuid = basix_pbx.call("0312341234", to="1001")
        ringing_event = parser.parse(websocket.recv(timeout=10))
        assert isinstance(ringing_event, InfoEvent)
        assert ringing_event.element.uuid == uuid


async def test_fixture_serves_an_asyncio_client(basix_pbx):
    """In an asyncio test, the PBX runs in another thread and its methods can be called directly."""
    async with connect(**basix_pbx.connect_args) as cti:
        basix_pbx.call("0312341234", to="1001")
        async for message in cti:
            match message:
                case InfoEvent("channel", leg, "added") if isinstance(leg.state, Ringing):
                    assert leg.other_info.end_user.items[0].name == "山田 太郎"
                    break


def test_fixture_starts_no_calls(basix_pbx):
    basix_pbx.advance(3600)
    assert basix_pbx.snapshot()["channel"] == {}
    assert len(basix_pbx.snapshot()["user"]) == 5


@pytest.mark.basix_pbx(users=12, older=True, token="another")
def test_marker_sets_the_simulators_parameters(basix_pbx):
    assert len(basix_pbx.snapshot()["user"]) == 12
    assert "queued_channel" in basix_pbx.snapshot()
    assert basix_pbx.connect_args["token"] == "another"


def test_fixture_is_new_for_each_test(basix_pbx):
    """No call of an earlier test exists."""
    assert basix_pbx.snapshot()["channel"] == {}
    basix_pbx.call()


# The same test again: the PBX of its first run must be gone.
test_fixture_is_new_for_each_test_second_run = test_fixture_is_new_for_each_test


def test_basix_frames_returns_reproducible_sessions(basix_frames):
    """The same arguments give the same frames, another seed gives others."""
    frames = basix_frames("parked", seed=3)
    parser = MessageParser()
    messages = [parser.parse(frame) for frame in frames]
    states = {
        m.element.state.name
        for m in messages
        if isinstance(m, InfoEvent) and m.element_name == "channel"
    }
    assert {"ivr", "calling", "bridged", "park"} <= states
    assert basix_frames("parked", seed=3) == frames
    assert basix_frames("parked", seed=4) != frames
    with pytest.raises(ValueError, match="unknown scenario 'nothing'; known are: inbound_call"):
        basix_frames("nothing")


@pytest.mark.slow
def test_pytest_finds_the_plugin_without_configuration(pytester):
    """pytest finds the fixtures and the marker, and the PBX's thread ends with the test."""
    pytester.makepyfile(
        """
        import sys
        import threading
        import pytest

        def test_not_loaded():
            assert "basix_ws_cti.pytest_plugin" in sys.modules
            assert "basix_ws_cti.simulator" not in sys.modules

        @pytest.mark.basix_pbx(otp=26)
        def test_one(basix_pbx, basix_frames):
            assert basix_pbx.url.startswith("ws://127.0.0.1:")
            assert basix_frames()
            assert "basix simulator" in {thread.name for thread in threading.enumerate()}

        def test_gone():
            assert "basix simulator" not in {thread.name for thread in threading.enumerate()}
        """
    )
    result = pytester.runpytest_subprocess("--strict-markers", "-p", "no:randomly")
    result.assert_outcomes(passed=3)
    listed = pytester.runpytest_subprocess("--fixtures", "--markers")
    listed.stdout.fnmatch_lines(["@pytest.mark.basix_pbx*"])


def test_no_simulator_thread_is_left():
    assert not [thread for thread in threading.enumerate() if "basix" in thread.name]
