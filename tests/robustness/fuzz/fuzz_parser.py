"""Fuzzing ``MessageParser`` with whole sessions: the documented errors, or the right callbacks.

An input is a session: its frames, with ``SEPARATOR`` between them.
"""

from __future__ import annotations

import functools
import json
import logging
import random
from itertools import islice

import attrs
import inert
import seeds as corpus
from support import etf_encoder as write

import basix_ws_cti.parsing.fast_path
from basix_ws_cti import (
    DecodeError,
    FieldSpec,
    InfoEvent,
    InitialInfo,
    MessageParser,
    Msg,
    ProtocolError,
    SystemMsg,
    UnknownMessage,
    to_dict,
)
from basix_ws_cti.calls import CallEnded, CallRecord, CallTracker, QueueStats
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.terms import decode

SEPARATOR = b"\0--\0"
MAX_LEN = 2048


def seeds():
    """The conformance sessions, and events of the benchmark after their field_spec."""
    sessions = [*corpus.conformance()]
    spec, _, none, _, *events = corpus.bench()
    sessions += ([spec, none, *islice(events, at, at + 4)] for at in range(0, 400, 40))
    return dict.fromkeys(SEPARATOR.join(cut(session)) for session in sessions)


def cut(session):
    """As much of a session as an input holds."""
    size = 0
    for frame in session:
        size += len(frame) + len(SEPARATOR)
        if size > MAX_LEN:
            return
        yield frame


# -- what is checked --------------------------------------------------------------------


class Log(logging.Handler):
    """Peers' text in a log is printable and short, wherever it comes from."""

    def emit(self, record):
        check_text(record.getMessage())


def check_text(text):
    assert text.isprintable()
    assert len(text) <= 256


def begin():
    """Check the log lines of this process from now on; let events take the fast path early."""
    basix_ws_cti.parsing.fast_path.FAST_AFTER = 1
    logging.getLogger("basix_ws_cti").addHandler(Log())


class Calls(list):
    """A handler that keeps what it is told."""

    def on_initial_info(self, *given):
        self.append(("initial_info", *given))

    def on_info_event(self, *given):
        self.append(("info_event", *given))

    def on_system_msg(self, *given):
        self.append(("system_msg", *given))

    def on_msg(self, *given):
        self.append(("msg", *given))


def check(data):
    """One session: what is refused leaves no trace, and callbacks say what messages say."""
    base_url = "https://xyz.com" if len(data) % 2 else None
    calls = Calls()
    parser = MessageParser(calls, base_url=base_url)
    twin = MessageParser(base_url=base_url)  # gets only the frames that the other accepts
    mirror, tracker, stats = Mirror(), CallTracker(), QueueStats()
    for frame in data.split(SEPARATOR):
        calls.clear()
        with inert.only(inert.parsing):
            refused = refusal(parser.handle_message, frame)
        if refused is not None:
            assert not calls
            check_text(refused)
            assert refusal(like(twin).parse, frame) == refused
            continue
        message = twin.parse(bytearray(frame))  # no bytes: always on the slow path
        assert calls == called(message)
        for element in elements(message):
            check_element(element)
        events = tracker.apply(mirror.apply(message))
        stats.apply(events)
        for event in events:
            if isinstance(event, CallEnded):
                assert json.dumps(CallRecord.of(event.call).to_dict(), default=repr)
        for call in tracker.calls.values():
            assert call.phase.ended is None
    channels = len(mirror.channels)
    assert (
        sum(leg.ended is None for call in tracker.calls.values() for leg in call.legs) == channels
    )


def refusal(read, frame):
    """The text of the error that reading a frame ends in, if it does."""
    try:
        read(frame)
    except (DecodeError, ProtocolError) as error:
        return str(error)
    return None


def like(parser):
    """A parser that knows the same field_specs."""
    other = MessageParser(base_url=parser._base_url)
    other._specs |= parser._specs
    return other


def called(message):
    """The callbacks that a message stands for."""
    match message:
        case FieldSpec() | UnknownMessage():
            return []
        case InitialInfo(kind, found):
            return [("initial_info", kind, found)]
        case InfoEvent(kind, element, event_name):
            return [("info_event", kind, element, event_name)]
        case SystemMsg(text):
            return [("system_msg", text)]
        case Msg(text):
            return [("msg", text)]
    raise AssertionError(message)


def elements(message):
    match message:
        case InitialInfo(_, found):
            assert all(key is not None for key in found)
            return [*found.values()]
        case InfoEvent(_, element, _):
            return [element]
    return []


def check_element(element):
    """Whatever a record held, its element can be looked at in every way there is."""
    json.dumps(to_dict(element)).encode()
    repr(element)
    for part in (element, *(getattr(element, field.name) for field in attrs.fields(type(element)))):
        for name in properties(type(part)):
            getattr(part, name)


@functools.cache
def properties(cls):
    return [name for name in dir(cls) if isinstance(getattr(cls, name, None), property)]


# -- how an input is made of another ------------------------------------------------------

# What a structured field, a name, a key may be, for better or worse.
TERMS = [
    *(None, True, 0, -1, 2**70, 1.5, "", "*", [], (), {}, write.BERT_NIL, [12371, 0xD800]),
    *(
        "_MANY_:2|1*a|*",
        "%E6%9D%B1*%2A+%",
        "%9A%ff",
        "a;b",
        "state",
        "uuid",
        "id",
        "channel",
        "ring",
    ),
    *("group", "user", "bridged_endpoint", "__class__", "x y", "extra", "element_name", "\udcff"),
    *((1,), (1, "park"), ("user", 1), [1], [(1,)]),
    (1, "calling", "int", "group", ("ring", 2, None, None, "q")),
    (1, "park", 901, None, 7, "name"),
    ("user", 1, "name", "1001"),
    (write.Atom("bert"), write.Atom("time"), 10**9, 0, 0),
    (write.Atom("bert"), write.Atom("regex"), "^a", []),
]


def mutate(data, max_size, seed):
    """Change a byte somewhere, or a term; or let a frame come twice, elsewhere, or not."""
    import atheris

    draw = random.Random(seed)
    session = data.split(SEPARATOR)
    at = draw.randrange(len(session))
    way = draw.randrange(8)
    if way == 0:
        session.insert(draw.randrange(len(session) + 1), session[at])
    elif way == 1 and len(session) > 1:
        del session[at]
    elif way < 7:
        try:
            frame = write.frame(changed(decode(session[at]), draw))
        except (DecodeError, AssertionError, UnicodeEncodeError, OverflowError):
            return atheris.Mutate(data, max_size)  # not a term, or one that is not written here
        session[at : at + draw.randrange(2)] = [frame]
    else:
        return atheris.Mutate(data, max_size)
    return SEPARATOR.join(session)[:max_size]


def changed(term, draw):
    """The term with one of its parts, however deep, replaced, cut short, repeated, or moved."""
    places = [*nodes(term)]
    path, part = draw.choice(places)
    if isinstance(part, tuple | list) and part and draw.random() < 0.5:
        at = draw.randrange(len(part))
        rest = draw.choice([part[at + 1 :], part[at:], part[at : at + 1] * 2])
        part = part[:at] + rest if draw.random() < 0.5 else part[:at]
    else:
        part = draw.choice([draw.choice(TERMS), draw.choice(TERMS), draw.choice(places)[1]])
    return put(term, path, part)


def nodes(term, path=()):
    """The term and all its parts, each after its path."""
    yield path, term
    if isinstance(term, tuple | list):
        for at, part in enumerate(term):
            yield from nodes(part, (*path, at))


def put(term, path, part):
    if not path:
        return part
    at, *rest = path
    return type(term)([*term[:at], put(term[at], rest, part), *term[at + 1 :]])
