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
import frames as write
import inert
import seeds as corpus

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
from basix_ws_cti.mirror import Mirror
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
    twin = MessageParser(base_url=base_url)  # it sees nothing of what the other refused
    mirror = Mirror()
    for frame in data.split(SEPARATOR):
        calls.clear()
        try:
            with inert.only(inert.parsing):
                parser.handle_message(frame)
        except (DecodeError, ProtocolError) as error:
            assert not calls
            check_text(str(error))
        else:
            message = twin.parse(frame)
            assert calls == called(message)
            for element in elements(message):
                check_element(element)
            mirror.apply(message)


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
    *("_MANY_:2|1*a|*", "%E6%9D%B1*%2A+%", "a;b", "state", "uuid", "id", "channel", "ring"),
    *("group", "user", "bridged_endpoint", "__class__", "x y", "extra", "element_name", "\udcff"),
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
    elif way < 6:
        try:
            session[at] = write.frame(changed(decode(session[at]), draw))
        except (DecodeError, AssertionError, UnicodeEncodeError, OverflowError):
            return atheris.Mutate(data, max_size)  # not a term, or one that is not written here
    else:
        return atheris.Mutate(data, max_size)
    return SEPARATOR.join(session)[:max_size]


def changed(term, draw):
    """The term with one of its parts replaced, repeated, left out, or put elsewhere."""
    if not isinstance(term, tuple | list) or not term or draw.random() < 0.2:
        return draw.choice(TERMS)
    parts = [*term]
    at = draw.randrange(len(parts))
    match draw.randrange(8):
        case 0:
            parts.insert(draw.randrange(len(parts) + 1), parts[at])
        case 1:
            del parts[at]
        case 2:
            parts[at] = draw.choice(parts)
        case _:
            parts[at] = changed(parts[at], draw)
    return type(term)(parts)
