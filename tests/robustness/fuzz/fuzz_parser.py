"""Fuzzing target: ``MessageParser`` with sessions of several frames.

An input is the frames of a session, with ``SEPARATOR`` between them. Each frame must cause a
documented error or the right callbacks.
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
    """Return the conformance sessions, and events of the benchmark after their field_spec."""
    sessions = [*corpus.conformance()]
    spec, _, none, _, *events = corpus.bench()
    sessions += ([spec, none, *islice(events, at, at + 4)] for at in range(0, 400, 40))
    return dict.fromkeys(SEPARATOR.join(cut(session)) for session in sessions)


def cut(session):
    """Yield the first frames of a session, as many as fit into an input."""
    size = 0
    for frame in session:
        size += len(frame) + len(SEPARATOR)
        if size > MAX_LEN:
            return
        yield frame


# -- checks --------------------------------------------------------------------


class Log(logging.Handler):
    """Log handler that checks that all messages are printable and short."""

    def emit(self, record):
        check_text(record.getMessage())


def check_text(text):
    assert text.isprintable()
    assert len(text) <= 256


def begin():
    """Check the log messages of this process, and use the fast path from the second event on."""
    basix_ws_cti.parsing.fast_path.FAST_AFTER = 1
    logging.getLogger("basix_ws_cti").addHandler(Log())


class Calls(list):
    """Callback object that records its calls."""

    def on_initial_info(self, *arguments):
        self.append(("initial_info", *arguments))

    def on_info_event(self, *arguments):
        self.append(("info_event", *arguments))

    def on_system_msg(self, *arguments):
        self.append(("system_msg", *arguments))

    def on_msg(self, *arguments):
        self.append(("msg", *arguments))


def check(data):
    """Check that refused frames change nothing, and that callbacks match the messages."""
    base_url = "https://xyz.com" if len(data) % 2 else None
    calls = Calls()
    parser = MessageParser(calls, base_url=base_url)
    twin = MessageParser(
        base_url=base_url
    )  # receives only the frames that the other parser accepts
    specs = {}  # the last field_spec of each kind
    mirror, tracker, stats = Mirror(), CallTracker(), QueueStats()
    has_ended = False  # a call
    for frame in data.split(SEPARATOR):
        calls.clear()
        with inert.only(inert.parsing):
            refused = refusal(parser.handle_message, frame)
        if refused is not None:
            assert not calls
            check_text(refused)
            assert refusal(parser_after(specs, base_url).parse, frame) == refused
            continue
        message = twin.parse(bytearray(frame))  # a bytearray always takes the slow path
        if isinstance(message, FieldSpec):
            specs[message.element_name] = frame
        assert calls == expected_calls(message)
        for element in elements(message):
            check_element(element)
        events = tracker.apply(mirror.apply(message))
        stats.apply(events)
        for event in events:
            if isinstance(event, CallEnded):
                has_ended = True
                assert json.dumps(CallRecord.of(event.call).to_dict(), default=repr)
        for call in tracker.calls.values():
            assert call.phase.ended is None
    assert sum(stats.group(group, 0).waiting for group in stats.groups) <= stats.active_calls
    for user in stats.users:
        assert stats.user(user, 0).talked >= 0
    living = sum(leg.ended is None for call in tracker.calls.values() for leg in call.legs)
    # A leg that is shown again, in an old state, after its call ended belongs to no call.
    assert living <= len(mirror.channels) if has_ended else living == len(mirror.channels)


def refusal(read, frame):
    """Return the text of the error that a frame causes, or None."""
    try:
        read(frame)
    except (DecodeError, ProtocolError) as error:
        return str(error)
    return None


def parser_after(specs, base_url):
    """Return a new parser that has read these field_specs."""
    parser = MessageParser(base_url=base_url)
    for frame in specs.values():
        parser.parse(frame)
    return parser


def expected_calls(message):
    """Return the callbacks that a message must cause."""
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
    """Check that an element can be converted, printed and read, whatever its record contained."""
    json.dumps(to_dict(element)).encode()
    repr(element)
    for part in (element, *(getattr(element, field.name) for field in attrs.fields(type(element)))):
        for name in properties(type(part)):
            getattr(part, name)


@functools.cache
def properties(cls):
    return [name for name in dir(cls) if isinstance(getattr(cls, name, None), property)]


# -- mutations ------------------------------------------------------

# Valid and invalid values for structured fields, names and keys.
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
    """Change a byte or a term; or repeat, move or remove a frame."""
    import atheris

    draw = random.Random(seed)
    session = data.split(SEPARATOR)
    at = draw.randrange(len(session))
    action = draw.randrange(8)
    if action == 0:
        session.insert(draw.randrange(len(session) + 1), session[at])
    elif action == 1 and len(session) > 1:
        del session[at]
    elif action < 7:
        try:
            frame = write.frame(changed(decode(session[at]), draw))
        except (DecodeError, AssertionError, UnicodeEncodeError, OverflowError):
            return atheris.Mutate(
                data, max_size
            )  # not a term, or one that the encoder does not support
        session[at : at + draw.randrange(2)] = [frame]
    else:
        return atheris.Mutate(data, max_size)
    return SEPARATOR.join(session)[:max_size]


def changed(term, draw):
    """Return the term with a part, at any depth, replaced, truncated, repeated or moved."""
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
    """Yield the path and value of a term and of all its parts."""
    yield path, term
    if isinstance(term, tuple | list):
        for at, part in enumerate(term):
            yield from nodes(part, (*path, at))


def put(term, path, part):
    if not path:
        return part
    at, *rest = path
    return type(term)([*term[:at], put(term[at], rest, part), *term[at + 1 :]])
