"""Collector of facts about the form of a feed, without personal data.

``FeedFacts`` observes frames and counts forms: which terms carry names, which kinds, fields,
states and events occur, how long tuples are. It keeps no text of an element. A word is kept
only in two cases; any other text is reduced to its shape, such as ``8 characters: letters``:

- in a place for names of the protocol (message, kind, field, event, state, hangup cause), if it
  has the form of such a name;
- elsewhere, if it is one of the known words.

Memory is bounded: each list keeps ``MAX_ENTRIES`` entries and counts the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from basix_ws_cti.exceptions import DecodeError
from basix_ws_cti.parsing.record_decoder import STATES
from basix_ws_cti.recording.term_rewriter import ATOM, LIST, TUPLE, Term, read_term
from basix_ws_cti.terms import decode, inflated_size

# Distinct entries of one list, and lists. A kind has about 30 fields, which come in several forms.
MAX_ENTRIES = 200

# Messages at the start of a connection whose order is kept. The feed has nine kinds.
MAX_ORDER = 60

# Bytes of a frame that is examined in full. A larger one, such as the snapshot of 10,000 users,
# would block the event loop for seconds.
MAX_EXAMINED = 1_000_000

# Records of one initial_info that are examined.
MAX_RECORDS = 2000

# Form of names: in lower case (kinds, fields, states), and in upper case (events, causes).
_NAME = re.compile(r"[a-z][a-z_]{0,39}[a-z0-9]")
_UPPER_NAME = re.compile(r"[A-Z][A-Z0-9_]{1,39}")

_DISPOSITION = re.compile(r"(?:recv|send)_[a-z]{1,20}")

_WORDS = """
    connection_limit_reached connection_replaced logout
    monitoring_required auto_answer
    inbound outbound internal external int ext user group end_user pstn bridged_endpoint ring hunt
    undefined true false bert nil
"""
KNOWN_WORDS = frozenset(_WORDS.split())
"""Words that are shown wherever they occur."""

_MESSAGES = frozenset({"field_spec", "initial_info", "info_event", "system_msg", "msg"})
_ATOM_FORMS = {
    100: "ATOM_EXT (minor 1)",
    115: "SMALL_ATOM_EXT (minor 1)",
    118: "ATOM_UTF8_EXT (minor 2)",
    119: "SMALL_ATOM_UTF8_EXT (minor 2)",
}

_STATES = {state.name for state in STATES} | {"calling"}

# Fields whose values are words of the protocol.
_WORD_FIELDS = ("direction", "peer_location")


class Tally:
    """Counts of the first ``MAX_ENTRIES`` different entries, and of all other occurrences."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.others: int = 0

    def add(self, entry: str) -> None:
        """Count one occurrence."""
        if entry in self.counts or len(self.counts) < MAX_ENTRIES:
            self.counts[entry] = self.counts.get(entry, 0) + 1
        else:
            self.others += 1

    def as_dict(self) -> dict[str, int]:
        """Return the counts by entry, in alphabetical order; ``"and more"`` counts the rest."""
        counts = sorted(self.counts.items())
        return {**dict(counts), **({"and more": self.others} if self.others else {})}


class FeedFacts:
    """Facts about the form of one feed; call ``observe`` with each frame, in order.

    Call ``start_connection`` before the frames of each further connection.
    """

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}
        self._fields: dict[str, tuple[str, ...]] = {}
        self._order: list[str] = []
        self._is_first_connection = True
        self.frames: int = 0
        """Number of frames observed."""

    def start_connection(self) -> None:
        """Forget the field_specs of the connection before."""
        self._is_first_connection = not self.frames
        self._fields = {}

    def observe(self, frame: bytes | str) -> None:
        """Examine one frame. Never raises, whatever the frame contains."""
        self.frames += 1
        if isinstance(frame, str):
            self._add("frames", "text frame")
            return
        if max(len(frame), inflated_size(frame)) > MAX_EXAMINED:
            self._add("frames", f"binary, over {MAX_EXAMINED} bytes: not examined")
            return
        try:
            decode(frame)
        except DecodeError:
            self._add("frames", "binary, unreadable")
            return
        self._add("frames", "binary, compressed" if inflated_size(frame) else "binary")
        self._observe_message(read_term(frame))

    def as_dict(self) -> dict[str, Any]:
        """Return all facts as JSON-ready values: counts by section and entry.

        ``order`` is a list: the first messages of the first connection.
        """
        sections: dict[str, Any] = {
            name: self._tallies[name].as_dict() for name in sorted(self._tallies)
        }
        return {"frames": sections.pop("frames", {}), "order": self._order, **sections}

    # -- messages ---------------------------------------------------------------------

    def _observe_message(self, term: Term) -> None:
        if term.type != TUPLE or not term.items:
            self._add("messages", f"no tuple: {term.type}")
            return
        self._observe_atoms(term)
        name, *parts = term.items
        text = name.text if name.text in _MESSAGES else None
        self._add("messages", f"{text or _name(name)} ({name.type}), {len(parts)} parts")
        if text in {"system_msg", "msg"}:
            for part in parts:
                self._add(f"{text} texts", f"{part.type}: {_word(part)}")
            return
        if text is None or len(parts) < 2:
            return
        kind = _name(parts[0])
        self._add("forms of kinds", f"{text}: {parts[0].type}")
        if text != "info_event" and self._is_first_connection and len(self._order) < MAX_ORDER:
            self._order.append(f"{text} {kind}")
        if text == "field_spec":
            self._observe_field_spec(kind, parts[1])
        elif text == "initial_info":
            self._observe_initial_info(kind, parts[1])
        else:
            self._observe_record(kind, parts[1])
            if len(parts) > 2:
                self._add("forms of event names", parts[2].type)
                self._add("events", f"{kind} {_name(parts[2])}")

    def _observe_field_spec(self, kind: str, fields: Term) -> None:
        names = tuple(_name(item) for item in fields.items)
        for item in fields.items:
            self._add("forms of field names", item.type)
        if self._fields.get(kind) not in {None, names}:
            self._add("changed field_specs", kind)
        if kind in self._fields or len(self._fields) < MAX_ENTRIES:
            self._fields[kind] = names
        shown = ", ".join(names[:MAX_ENTRIES])
        more = f", and {len(names) - MAX_ENTRIES} more" if len(names) > MAX_ENTRIES else ""
        self._add("field_specs", f"{kind} ({len(names)}): {shown}{more}")

    def _observe_initial_info(self, kind: str, records: Term) -> None:
        if not records.items:
            self._add("forms of empty initial_info", "[]")
        elif _is_nil(records):
            self._add("forms of empty initial_info", "{bert,nil}")
        else:
            for record in records.items[:MAX_RECORDS]:
                self._observe_record(kind, record)

    # -- records ----------------------------------------------------------------------

    def _observe_record(self, kind: str, record: Term) -> None:
        names = self._fields.get(kind)
        if record.type != TUPLE or names is None:
            known = "" if names is not None else ", before its field_spec"
            self._add("records", f"{kind}: {record.type}{known}")
            return
        difference = len(record.items) - len(names)
        length = f"{difference:+d} fields" if difference else "as in the field_spec"
        self._add("records", f"{kind}: {length}")
        for name, value in zip(names, record.items, strict=False):
            self._add(f"forms of {kind} values", f"{name}: {_form(value)}")
            self._observe_value(name, value)

    def _observe_value(self, name: str, value: Term) -> None:
        if value.type == ATOM and value.value == "undefined":
            return
        if value.text:
            self._observe_text(name, value.text)
        elif value.type == TUPLE and value.items and not _is_nil(value):
            if name == "state":
                self._observe_state(value.items)
            elif name in {"target", "other_info"}:
                self._add(f"{name} tuples", f"{_word(value.items[0])}: {len(value.items)} parts")

    def _observe_text(self, name: str, text: str) -> None:
        """Count the words in the fields that hold words of the protocol."""
        if name in _WORD_FIELDS:
            self._add(f"values of {name}", _known(text))
        elif name == "last_event":
            self._add("values of last_event", _upper_name(text))
        elif name == "last_event_data":
            disposition, comma, cause = text.partition(",")
            if _DISPOSITION.fullmatch(disposition):
                self._add("hangups", disposition + (f",{_upper_name(cause)}" if comma else ""))
            else:
                self._add("hangups", shape(text))
        elif name == "tags":
            for tag in text.split(";"):
                self._add("tags", _known(tag))

    def _observe_state(self, parts: tuple[Term, ...]) -> None:
        if len(parts) < 2:
            self._add("states", f"{len(parts)} parts")
            return
        # An unknown state's name is shown if it is an atom, which no person's name is.
        is_named = parts[1].type == ATOM or parts[1].text in _STATES
        name = _name(parts[1]) if is_named else _word(parts[1])
        self._add("states", f"{name}: {len(parts)} parts, time {_form(parts[0])}")
        if name == "calling" and len(parts) > 3:
            data = parts[4:5]
            form = "absent" if not data else _form(data[0])
            words = f"{_word(parts[2])} {_word(parts[3])}"
            kind = ""
            if data and data[0].type == TUPLE and data[0].items and parts[3].text == "group":
                kind = f" {_word(data[0].items[0])}"
            self._add("data of calling", f"{words}{kind}: {form}")

    def _observe_atoms(self, term: Term) -> None:
        """Count the encodings of atoms in the first levels of a message."""
        waiting = [*term.items, *(item for part in term.items for item in part.items[:MAX_ENTRIES])]
        for item in waiting:
            if item.type == ATOM:
                self._add("encodings of atoms", _ATOM_FORMS[item.raw[0]])

    def _add(self, section: str, entry: str) -> None:
        tally = self._tallies.get(section)
        if tally is None:
            if len(self._tallies) >= MAX_ENTRIES:
                self._add("frames", "facts left out: too many lists")
                return
            tally = self._tallies[section] = Tally()
        tally.add(entry)


def facts_as_markdown(facts: dict[str, Any], heading: str) -> str:
    """Return the facts of ``FeedFacts.as_dict`` as Markdown, below ``heading``."""
    lines = [f"## {heading}", ""]
    for section, entries in facts.items():
        lines += [f"### {section}", ""]
        lines += _markdown_list(entries)
        lines.append("")
    return "\n".join(lines)


def _markdown_list(entries: list[str] | dict[str, int]) -> Iterable[str]:
    if not entries:
        return ["- none"]
    if isinstance(entries, list):
        return [f"{number}. {entry}" for number, entry in enumerate(entries, 1)]
    return [f"- {entry}: {count}" for entry, count in entries.items()]


def shape(text: str) -> str:
    """Return the length of a text and the types of its characters, and nothing else of it."""
    if not text:
        return "empty"
    types = {
        "lower-case letters": any(char.islower() and char.isascii() for char in text),
        "upper-case letters": any(char.isupper() and char.isascii() for char in text),
        "other letters": any(char.isalpha() and not char.isascii() for char in text),
        "digits": any(char.isdigit() for char in text),
        "spaces": any(char.isspace() for char in text),
        "underscores": "_" in text,
        "punctuation": any(not (char.isalnum() or char.isspace() or char == "_") for char in text),
    }
    return f"{len(text)} characters: {', '.join(name for name, found in types.items() if found)}"


def _name(term: Term) -> str:
    """Return a name of the protocol, or the shape of a text that has not the form of one."""
    text = term.text
    if text is None:
        return f"no name: {term.type}"
    return text if _NAME.fullmatch(text) else shape(text)


def _upper_name(text: str) -> str:
    return text if _UPPER_NAME.fullmatch(text) else shape(text)


def _word(term: Term) -> str:
    """Return a known word, or the shape of any other text."""
    text = term.text
    if text is None:
        return _form(term)
    return _known(text)


def _known(text: str) -> str:
    return text if text in KNOWN_WORDS else shape(text)


def _form(term: Term) -> str:
    """Return the type of a term; the size of a tuple; an atom that is a known word."""
    if _is_nil(term):
        return "{bert,nil}"
    if term.type == TUPLE:
        return f"tuple of {len(term.items)}"
    if term.type == LIST:
        return "list" if term.items else "[]"
    if term.type == ATOM and term.value in KNOWN_WORDS:
        return f"atom {term.value}"
    if term.type != ATOM and term.value == "":
        return f"empty {term.type}"
    return term.type


def _is_nil(term: Term) -> bool:
    """Return True for ``{bert,nil}``."""
    return term.type == TUPLE and [item.value for item in term.items] == ["bert", "nil"]
