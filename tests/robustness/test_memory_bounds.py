"""What a peer can make a session hold: bounded, over as many distinct names as it likes."""

from __future__ import annotations

import contextlib
import gc
import sys
import tracemalloc

import pytest
from support.etf_encoder import Atom, field_spec, frame, info_event, initial_info
from support.sizes import NIGHTLY

from basix_ws_cti import terms
from basix_ws_cti.exceptions import BasixError
from basix_ws_cti.mirror import phone_numbers
from basix_ws_cti.mirror.mirror import MAX_ENDED_CHANNELS, Mirror
from basix_ws_cti.parsing import parser, record_decoder
from basix_ws_cti.parsing.parser import MessageParser

NAMES = 1_000_000 if NIGHTLY else 20_000

# Names after which everything that has a bound has reached it; of channels, more are remembered.
FILLING = 6000

MIB = 1024 * 1024

# What a session may hold of nothing but names: mostly channels that are gone.
MOST = 24 * MIB

# Objects that may be there in the end and were not when everything was full: those on the
# way, and tables that grow in steps. One for each name would be 20,000.
MORE = 500

LONG = "n" * 200


class Session:
    """A parser and the mirror behind it, for as long as the process lives."""

    def __init__(self):
        self.parser = MessageParser(base_url="https://pbx.example")
        self.mirror = Mirror()

    def take(self, data):
        with contextlib.suppress(BasixError):
            self.mirror.apply(self.parser.parse(data))


def unknown_messages(session, number):
    session.take(frame((Atom(f"{number}{LONG}"), 1)))


def unknown_messages_without_end(session, number):
    session.take(frame((f"{number}{LONG * 20}", 1)))


def atoms(session, number):
    session.take(frame([Atom(f"{LONG}{number}")]))


def kinds(session, number):
    kind = f"{LONG}{number}"
    session.take(field_spec(kind, "id"))
    session.take(info_event(kind, (None,)))


def kinds_sent_once(session, number):
    """A connection for each dozen kinds, and the mirror that outlives them."""
    if number % 12 == 0:
        session.parser, aside = MessageParser(), Mirror()
        session.mirror.replace_with(aside)
    kind = f"{LONG}{number}"
    session.take(field_spec(kind, "id"))
    if number % 12 < 2:  # making a reader takes as long as reading hundreds of records
        session.take(initial_info(kind, (number,)))


def fields(session, number):
    session.take(field_spec("channel", "uuid", f"{LONG}{number}"))
    if number % 20 == 0:
        session.take(info_event("channel", ("u", number)))


def bad_frames(session, number):
    session.take(frame((Atom("info_event"), f"{LONG}{number}", (), "added")))
    session.take(b"\x83" + f"{number}".encode())


def channels(session, number):
    """Calls that come and go, each with a number of its own."""
    if number == 0:
        session.take(field_spec("channel", "uuid", "calling_number", "last_event"))
    for event in ("CHANNEL_CREATE", "CHANNEL_HANGUP"):
        session.take(info_event("channel", (f"{number}", f"{number:030}", event)))
        session.mirror.channels_by_number(f"{number}")


def users(session, number):
    if number == 0:
        session.take(field_spec("user", "id", "name"))
    for event in ("added", "removed"):
        session.take(info_event("user", (number << 20, LONG), event))


def events(session, number):
    """Names of events, and values of all that one element has."""
    if number == 0:
        session.take(field_spec("user", "id", "name", "new"))
    session.take(info_event("user", (1, f"{number}", {f"{number}": number}), f"{LONG}{number}"))


@pytest.fixture(autouse=True)
def _own_caches(monkeypatch):
    """Every test starts with nothing remembered, and leaves nothing behind."""
    monkeypatch.setattr(terms, "atom_cache", dict(terms.PREDEFINED_ATOMS))
    yield
    phone_numbers._normalise.cache_clear()
    record_decoder.record_reader.cache_clear()


@pytest.mark.parametrize(
    "send",
    [
        unknown_messages,
        unknown_messages_without_end,
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
def test_what_is_held_is_bounded(send):
    """As many distinct names as a peer likes leave no more behind than the first of them did."""
    session = Session()
    filling = FILLING + (MAX_ENDED_CHANNELS if send is channels else 0)
    if NIGHTLY:  # which makes everything five times as slow
        tracemalloc.start()
    try:
        for number in range(filling):
            send(session, number)
        gc.collect()
        full = sys.getallocatedblocks()
        for number in range(filling, filling + NAMES):
            send(session, number)
        gc.collect()
        assert sys.getallocatedblocks() - full < MORE
        assert tracemalloc.get_traced_memory()[0] < MOST
    finally:
        tracemalloc.stop()


def test_everything_at_its_longest():
    """All that a connection may announce, in names of 255 characters of four bytes, has a size."""
    made = MessageParser()
    width = "\U0001f600" * 249
    tracemalloc.start()
    try:
        for number in range(parser.MAX_KINDS):
            names = [f"{width}{number:04}{at:02}" for at in range(12)]
            with contextlib.suppress(BasixError):
                made.parse(frame((Atom("field_spec"), f"{width}{number:06}", names)))
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(made._specs) > 800
    assert 8 * MIB < size < MOST
