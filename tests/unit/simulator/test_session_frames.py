"""Sessions as frames: complete, readable from the first to the last, and the same every time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from itertools import pairwise, product

import pytest
from support.feed_follower import Picture, written

from basix_ws_cti import FieldSpec, InfoEvent, InitialInfo, MessageParser
from basix_ws_cti.simulator import scenarios
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.model import feed_kinds
from basix_ws_cti.simulator.pbx import Pbx
from basix_ws_cti.simulator.scenarios import SCENARIOS
from basix_ws_cti.simulator.session_frames import frames, initial_frames
from basix_ws_cti.simulator.timeline import Timeline

# A digest of every story, and of a long day.
DIGEST = """
import hashlib, sys
from basix_ws_cti.simulator import scenarios
from basix_ws_cti.simulator.pbx import Pbx
from basix_ws_cti.simulator.session_frames import frames
from basix_ws_cti.simulator.timeline import Timeline
from basix_ws_cti.simulator.frame_writer import Writer


def digest(seed):
    made = hashlib.sha256()
    for story in scenarios.SCENARIOS:
        for frame in frames(story, seed=seed, users=12, otp=26):
            made.update(frame)
    pbx, writer = Pbx(seed), Writer(compressed=True)
    pbx.listeners.append(
        lambda kind, _, told, name: made.update(
            writer.info_event(kind, writer.record(kind, told), name)
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
    space = {}
    exec(DIGEST, space)
    return space["digest"](seed)


@pytest.mark.parametrize("hash_seed", ["0", "12345"])
def test_the_same_seed_gives_the_same_bytes(hash_seed):
    """Stories and days repeat themselves to the byte, here and in a process with other hashes."""
    mine = digest(7)
    assert digest(7) == mine
    elsewhere = subprocess.run(
        [sys.executable, "-c", DIGEST + "print(digest(7))"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    assert elsewhere.stdout.strip() == mine


def test_another_seed_gives_other_bytes():
    """Another seed makes another day of every story, in other words on the wire."""
    assert digest(7) != digest(8)
    for story in set(SCENARIOS) - {"directory_changes"}:
        assert (
            len({hashlib.sha256(b"".join(frames(story, seed=n))).digest() for n in range(4)}) == 4
        )


def test_a_session_reads_from_beginning_to_end():
    """In each form a session is read to the end, and all forms say the same."""
    pictures = {}
    for otp, compressed, older, story in product(
        (25, 26), (False, True), (False, True), ("inbound_call", "directory_changes", "eavesdrop")
    ):
        session = frames(story, seed=2, otp=otp, compressed=compressed, older=older)
        picture = Picture(session)
        assert picture.kinds["channel"] == {}
        assert tuple(picture.kinds) == tuple(picture.specs) == feed_kinds(older=older)
        same = pictures.setdefault((older, story), picture.kinds)
        assert same == picture.kinds
        assert len(picture.kinds["user"]) == 5


@pytest.mark.parametrize("story", SCENARIOS)
def test_a_session_is_an_opening_and_a_story(story):
    """First comes everything that there is, as of before the story, and then its events."""
    session = frames(story, seed=5, users=12)
    pbx, writer = Pbx(5), Writer()
    scenarios.populate(pbx, 12)
    start = initial_frames(writer, written(writer, pbx))
    assert session[: len(start)] == start
    timeline = Timeline(pbx)
    timeline.start(SCENARIOS[story](pbx))
    while timeline.time_to_next is not None:
        timeline.step()
    assert len(session) > len(start)
    picture = Picture(session)
    assert picture.kinds == pbx.snapshot()
    parser = MessageParser()
    sorts = [type(parser.parse(frame)) for frame in session]
    assert sorts[len(start) :] == [InfoEvent] * (len(session) - len(start))


@pytest.mark.parametrize("story", ["", "Inbound_call", "day", "company"])
def test_a_story_that_nobody_knows(story):
    """Another name is a ValueError, which says what names there are."""
    with pytest.raises(ValueError, match="unknown scenario") as caught:
        frames(story)
    assert "attended_transfer" in str(caught.value)


def test_the_default_is_an_inbound_call():
    """Without arguments there is a call to read."""
    assert frames() == frames("inbound_call", seed=0, users=5, otp=25)


@pytest.mark.parametrize("specs_first", [True, False])
@pytest.mark.parametrize("older", [True, False])
def test_an_opening_in_either_order(specs_first, older):
    """All field_specs come first, or each right before the elements of its kind."""
    pbx, writer = Pbx(older=older), Writer()
    scenarios.populate(pbx, 3)
    made = initial_frames(writer, written(writer, pbx), specs_first=specs_first)
    parser = MessageParser()
    messages = [parser.parse(frame) for frame in made]
    sorts = [type(message) for message in messages]
    names = feed_kinds(older=older)
    told = [message.element_name for message in messages]
    if specs_first:
        assert sorts == [FieldSpec] * len(names) + [InitialInfo] * len(names)
        assert told == [*names, *names]
    else:
        assert sorts == [FieldSpec, InitialInfo] * len(names)
        assert told == [name for name in names for _ in range(2)]
        assert all(one == two for one, two in list(pairwise(told))[::2])
    assert Picture(made).kinds == pbx.snapshot()


def test_the_opening_comes_in_two_orders_by_default_the_first():
    """Who says nothing gets all field_specs first."""
    pbx, writer = Pbx(), Writer()
    records = written(writer, pbx)
    assert initial_frames(writer, records) == initial_frames(writer, records, specs_first=True)
    assert sorted(initial_frames(writer, records)) == sorted(
        initial_frames(writer, records, specs_first=False)
    )
