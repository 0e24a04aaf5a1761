"""Memory bounds of a session whose peer sends an unlimited number of distinct names."""

from __future__ import annotations

import contextlib
import gc
import sys
import tracemalloc

import pytest
from support.etf_encoder import Atom, field_spec, frame, info_event, initial_info
from support.sizes import NIGHTLY

from basix_ws_cti.exceptions import BasixError
from basix_ws_cti.mirror import phone_numbers
from basix_ws_cti.mirror.mirror import MAX_ENDED_CHANNELS, Mirror
from basix_ws_cti.parsing import parser, record_decoder
from basix_ws_cti.parsing.parser import MessageParser

NAMES = 100_000 if NIGHTLY else 20_000

# Number of names after which all bounded caches are full. Ended channels have a larger bound.
FILLING = 6000

MIB = 1024 * 1024

# Bytes that a session may hold for names alone, most of them for channels that have ended.
MAX_MEMORY = 24 * MIB

# Objects that may be added once all caches are full: temporary ones, and tables that grow in
# steps. One object for each name would be 20,000.
MAX_GROWTH = 500

LONG = "n" * 200


class Session:
    """A parser with the mirror that it fills."""

    def __init__(self):
        self.parser = MessageParser(base_url="https://pbx.example")
        self.mirror = Mirror()

    def receive(self, data):
        with contextlib.suppress(BasixError):
            self.mirror.apply(self.parser.parse(data))


def unknown_messages(session, number):
    session.receive(frame((Atom(f"{number}{LONG}"), 1)))


def unknown_messages_with_huge_names(session, number):
    session.receive(frame((f"{number}{LONG * 20}", 1)))


def atoms(session, number):
    session.receive(frame([Atom(f"{LONG}{number}")]))


def kinds(session, number):
    kind = f"{LONG}{number}"
    session.receive(field_spec(kind, "id"))
    session.receive(info_event(kind, (None,)))


def kinds_sent_once(session, number):
    """Send a dozen kinds per connection to a mirror that stays across connections."""
    if number % 12 == 0:
        session.parser = MessageParser()
        session.mirror.replace_with(Mirror())
    kind = f"{LONG}{number}"
    session.receive(field_spec(kind, "id"))
    if number % 12 < 2:  # generating a reader is slow
        session.receive(initial_info(kind, (number,)))


def fields(session, number):
    session.receive(field_spec("channel", "uuid", f"{LONG}{number}"))
    if number % 20 == 0:
        session.receive(info_event("channel", ("u", number)))


def bad_frames(session, number):
    session.receive(frame((Atom("info_event"), f"{LONG}{number}", (), "added")))
    session.receive(b"\x83" + f"{number}".encode())


def channels(session, number):
    """Start and end calls, each with a different number."""
    if number == 0:
        session.receive(field_spec("channel", "uuid", "calling_number", "last_event"))
    for event in ("CHANNEL_CREATE", "CHANNEL_HANGUP"):
        session.receive(info_event("channel", (f"{number}", f"{number:030}", event)))
        session.mirror.channels_by_number(f"{number}")


def users(session, number):
    if number == 0:
        session.receive(field_spec("user", "id", "name"))
    for event in ("added", "removed"):
        session.receive(info_event("user", (number << 20, LONG), event))


def events(session, number):
    """Send different event names and field values for one element."""
    if number == 0:
        session.receive(field_spec("user", "id", "name", "new"))
    session.receive(info_event("user", (1, f"{number}", {f"{number}": number}), f"{LONG}{number}"))


@pytest.fixture(autouse=True)
def _own_caches(forget_atoms):
    """Isolate the caches of each test."""
    yield
    phone_numbers._normalise.cache_clear()  # noqa: SLF001 - production code never clears it
    record_decoder.record_reader.cache_clear()


each_sender = pytest.mark.parametrize(
    "send",
    [
        unknown_messages,
        unknown_messages_with_huge_names,
        atoms,
        kinds,
        kinds_sent_once,
        fields,
        bad_frames,
        channels,
        users,
        events,
    ],
)


def numbers_until_caches_are_full(send):
    return range(FILLING + (MAX_ENDED_CHANNELS if send is channels else 0))


@pytest.mark.slow
@each_sender
def test_distinct_names_do_not_fill_memory(send):
    """Once all caches are full, further distinct names add no objects."""
    session = Session()
    filling = numbers_until_caches_are_full(send)
    for number in filling:
        send(session, number)
    gc.collect()
    full = sys.getallocatedblocks()
    for number in range(filling.stop, filling.stop + NAMES):
        send(session, number)
    gc.collect()
    assert sys.getallocatedblocks() - full < MAX_GROWTH


@pytest.mark.nightly
@each_sender
def test_memory_for_names_is_bounded(send):
    """A test of its own: tracing keeps the file name of each generated function, an object."""
    session = Session()
    tracemalloc.start()
    try:
        for number in numbers_until_caches_are_full(send):
            send(session, number)
        assert tracemalloc.get_traced_memory()[0] < MAX_MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_longest_field_specs_take_bounded_memory():
    """All kinds and fields that a connection may announce, each with the longest name, fit."""
    longest, kinds_read = MessageParser(), 0
    padding = "\U0001f600" * 249
    tracemalloc.start()
    try:
        for number in range(parser.MAX_KINDS):
            names = [f"{padding}{number:04}{at:02}" for at in range(12)]
            with contextlib.suppress(BasixError):
                longest.parse(frame((Atom("field_spec"), f"{padding}{number:06}", names)))
                kinds_read += 1
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kinds_read > 800
    assert 8 * MIB < size < MAX_MEMORY
