"""Sessions as frames: complete, readable and reproducible."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from itertools import pairwise, product

import pytest
from support.feed_follower import FeedMirror, element_records

from basix_ws_cti import FieldSpec, InfoEvent, InitialInfo, MessageParser
from basix_ws_cti.simulator import scenarios
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.model import feed_kinds
from basix_ws_cti.simulator.pbx import Pbx
from basix_ws_cti.simulator.scenarios import SCENARIOS
from basix_ws_cti.simulator.session_frames import frames, initial_frames
from basix_ws_cti.simulator.timeline import Timeline

# Computes a digest of every scenario and of a long day, here and in another process.
DIGEST = """
import hashlib, sys
from basix_ws_cti.simulator import scenarios
from basix_ws_cti.simulator.pbx import Pbx
from basix_ws_cti.simulator.session_frames import frames
from basix_ws_cti.simulator.timeline import Timeline
from basix_ws_cti.simulator.frame_writer import Writer


def digest(seed):
    made = hashlib.sha256()
    for scenario in scenarios.SCENARIOS:
        for frame in frames(scenario, seed=seed, users=12, otp=26):
            made.update(frame)
    pbx, writer = Pbx(seed), Writer(compressed=True)
    pbx.listeners.append(
        lambda kind, _, values, name: made.update(
            writer.info_event(kind, writer.record(kind, values), name)
        )
    )
    scenarios.populate(pbx, 40)
    timeline = Timeline(pbx)
    timeline.start(scenarios.day(pbx, timeline, 20))
    for _ in range(300):
        timeline.step()
    made.update(repr(pbx.snapshot()).encode())
    return made.hexdigest()
"""


def digest(seed):
    namespace = {}
    exec(DIGEST, namespace)
    return namespace["digest"](seed)


@pytest.mark.slow
@pytest.mark.parametrize("hash_seed", ["0", "12345"])
def test_the_same_seed_gives_the_same_bytes(hash_seed):
    """The bytes are the same in another process with a different hash seed."""
    local = digest(7)
    assert digest(7) == local
    other_process = subprocess.run(
        [sys.executable, "-c", DIGEST + "print(digest(7))"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    assert other_process.stdout.strip() == local


@pytest.mark.slow
def test_another_seed_gives_other_bytes():
    """The scenarios differ in their bytes, except the one without calls."""
    assert digest(7) != digest(8)
    for scenario in set(SCENARIOS) - {"directory_changes"}:
        assert (
            len({hashlib.sha256(b"".join(frames(scenario, seed=n))).digest() for n in range(4)})
            == 4
        )


def test_all_encodings_carry_the_same_session():
    states = {}
    for otp, compressed, older, scenario in product(
        (25, 26), (False, True), (False, True), ("inbound_call", "directory_changes", "eavesdrop")
    ):
        session = frames(scenario, seed=2, otp=otp, compressed=compressed, older=older)
        mirror = FeedMirror(session)
        assert mirror.kinds["channel"] == {}
        assert tuple(mirror.kinds) == tuple(mirror.specs) == feed_kinds(older=older)
        state = states.setdefault((older, scenario), mirror.kinds)
        assert state == mirror.kinds
        assert len(mirror.kinds["user"]) == 5


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_session_is_the_initial_frames_then_the_scenario(scenario):
    """The initial frames show the state before the scenario begins."""
    session = frames(scenario, seed=5, users=12)
    pbx, writer = Pbx(5), Writer()
    scenarios.populate(pbx, 12)
    start = initial_frames(writer, element_records(writer, pbx))
    assert session[: len(start)] == start
    timeline = Timeline(pbx)
    timeline.start(SCENARIOS[scenario](pbx))
    while timeline.time_to_next is not None:
        timeline.step()
    assert len(session) > len(start)
    mirror = FeedMirror(session)
    assert mirror.kinds == pbx.snapshot()
    parser = MessageParser()
    types = [type(parser.parse(frame)) for frame in session]
    assert types[len(start) :] == [InfoEvent] * (len(session) - len(start))


@pytest.mark.parametrize("scenario", ["", "Inbound_call", "day", "company"])
def test_unknown_scenario_is_refused(scenario):
    """The ValueError lists the known names."""
    with pytest.raises(ValueError, match="unknown scenario") as caught:
        frames(scenario)
    assert "attended_transfer" in str(caught.value)


def test_default_session_is_an_inbound_call():
    assert frames() == frames("inbound_call", seed=0, users=5, otp=25)


@pytest.mark.parametrize("specs_first", [True, False])
@pytest.mark.parametrize("older", [True, False])
def test_initial_frames_in_either_order(specs_first, older):
    """All field_specs come first, or each one directly before the elements of its kind."""
    pbx, writer = Pbx(older=older), Writer()
    scenarios.populate(pbx, 3)
    made = initial_frames(writer, element_records(writer, pbx), specs_first=specs_first)
    parser = MessageParser()
    messages = [parser.parse(frame) for frame in made]
    types = [type(message) for message in messages]
    names = feed_kinds(older=older)
    kinds = [message.element_name for message in messages]
    if specs_first:
        assert types == [FieldSpec] * len(names) + [InitialInfo] * len(names)
        assert kinds == [*names, *names]
    else:
        assert types == [FieldSpec, InitialInfo] * len(names)
        assert kinds == [name for name in names for _ in range(2)]
        assert all(first == second for first, second in list(pairwise(kinds))[::2])
    assert FeedMirror(made).kinds == pbx.snapshot()


def test_field_specs_come_first_by_default():
    """Both orders have the same frames."""
    pbx, writer = Pbx(), Writer()
    records = element_records(writer, pbx)
    assert initial_frames(writer, records) == initial_frames(writer, records, specs_first=True)
    assert sorted(initial_frames(writer, records)) == sorted(
        initial_frames(writer, records, specs_first=False)
    )
