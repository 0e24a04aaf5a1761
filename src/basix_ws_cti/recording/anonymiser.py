"""Frames that tell of nobody: which parts of a message stay, and which are replaced.

What stays is listed here: ids and uuids, times, statuses, and the protocol's own words where it
has them. All else is taken for what somebody is called or reached by, fields and messages that
nobody knows included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import attrs

from basix_ws_cti.exceptions import DecodeError
from basix_ws_cti.parsing.record_decoder import ELEMENTS, STATES
from basix_ws_cti.states import Calling
from basix_ws_cti.terms import decode

from .pseudonyms import Pseudonyms
from .term_rewriter import ATOM, FLOAT, LIST, NUMBER, TUPLE, Rule, Term
from .term_rewriter import floating as write_float
from .term_rewriter import integer as write_integer
from .term_rewriter import read as read_frame

# The protocol's own words, where a field holds one of a few.
_WORDS = frozenset(
    [
        "inbound",
        "outbound",
        "internal",
        "external",
        "int",
        "ext",
        "user",
        "group",
        "end_user",
        "pstn",
        "bridged_endpoint",
        "ring",
        "hunt",
        "CHANNEL_CREATE",
        "CHANNEL_ANSWER",
        "CHANNEL_HANGUP",
        "STATE_CHANGE",
        "monitoring_required",
        "auto_answer",
        "call_user",
        "media_plug",
        "pickup",
        "unpark",
        "conference",
        "connection_limit_reached",
        "connection_replaced",
        "logout",
    ]
)

# What stands for a number, and is none.
_MARKERS = frozenset({"anonymous", "media_plug"})
_PICKUP, _RINGING_PARK = "pickup_uuid.", "RINGING_PARK"

# What messages, kinds, fields, events and states are called.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

_ENDING = re.compile(r"(?:recv|send)_(?:bye|cancel|refuse)(?:,[A-Z][A-Z_]*)?")
_COUNTS = re.compile(r"\d{1,4}(?:/\d{1,4})*", re.ASCII)
_DECIMAL = re.compile(r"\d{1,20}", re.ASCII)
_MANY = re.compile(r"_MANY_:\d*\|?", re.ASCII)

_PARTS = {state.name: state.PARTS for state in (Calling, *STATES)}
_KNOWN = {*_PARTS, "added", "updated", "removed", "field_spec", "system_msg", "msg"}

_FIELDS = {
    kind: {one.name for one in attrs.fields(cls)} - {"extra", "element_name"}
    for kind, cls in ELEMENTS.items()
}


class Anonymiser:
    """Called with a frame, gives it with all replaced that tells of people.

    Names, numbers, addresses and every other text that is not known to be harmless are
    replaced, the same by the same in all frames, in escaped and composed texts too; shapes,
    ids, times and states stay, so that the same calls come of it. ``None`` for a frame that
    can't be read. ``key`` decides what becomes what: a random one, that is forgotten, if it is
    ``None``; with a key of your own several recordings fit together, and whoever has it can
    try out names and numbers. ``country_code`` is that of national numbers.
    """

    def __init__(self, key: bytes | None = None, *, country_code: str = "81") -> None:
        self._names = Pseudonyms(key, country_code)
        self._specs: dict[str, list[Rule]] = {}
        self._rules: dict[str, Rule] = {
            **dict.fromkeys(("uuid", "other_uuid"), self._uuid),
            **dict.fromkeys(
                ("direction", "peer_location", "last_event", "target_type", "operation"),
                self._word,
            ),
            **dict.fromkeys(
                # A caller without a name has the number for one.
                ("calling_name", "calling_number", "called_number", "peer_number"),
                self._number,
            ),
            **dict.fromkeys(
                [
                    "id",
                    "user_id",
                    "group_id",
                    "assoc_user_id",
                    "last_bridged_user_id",
                    "target_id",
                    "parker_id",
                    "slot",
                    "offer_timestamp",
                    "answer_timestamp",
                    "hangup_timestamp",
                    "type",
                    "fwd_always_status",
                    "do_not_disturb_status",
                    "check_login_status",
                    "login_status",
                    "language",
                    "presence",
                    "role",
                    "park_group",
                    "flags",
                    "queue",
                    "priority",
                    "registered",
                ],
                self._plain,
            ),
            "eavesdrop_state": self._word,
            "last_event_data": self._matching(_ENDING),
            "mwi": self._matching(_COUNTS),
            "state": self._state,
            "target": self._parts(self._word, self._plain, self._personal, self._number),
            "end_user": self._end_user,
            "other_info": self._other_info,
            "origination": self._joined("*"),
            "tags": self._joined(";"),
        }

    def begin(self) -> None:
        """A connection begins: what fields there are will be said anew."""
        self._specs.clear()

    def __call__(self, frame: bytes | str) -> bytes | None:
        """The frame with other names in it; ``None``: it can't be read."""
        if isinstance(frame, str):
            return None
        try:
            decode(frame)
        except DecodeError:
            return None
        return b"\x83" + self._message(read_frame(frame))

    def _message(self, term: Term) -> bytes:
        if term.sort != TUPLE or not term.items:
            return self._personal(term)
        name, *rest = (item.text for item in term.items)
        kind = rest[0] if rest else None
        match name:
            case "field_spec" if kind is not None and len(rest) > 1:
                self._learn(kind, term.items[2])
                return self._each(term, self._name, self._name, self._field_names)
            case "initial_info":
                records = self._records(self._specs.get(kind or "", []))
                return self._each(term, self._name, self._name, records)
            case "info_event":
                record = self._record(self._specs.get(kind or "", []))
                return self._each(term, self._name, self._name, record, self._atom)
            case "system_msg":
                return self._each(term, self._name, self._word)
        return self._each(term, self._atom)

    def _learn(self, kind: str, names: Term) -> None:
        known = _FIELDS.get(kind, set())
        self._specs[kind] = [
            self._rules.get(name.text or "", self._personal)
            if name.text in known
            else self._personal
            for name in names.items
        ]

    def _records(self, rules: list[Rule]) -> Rule:
        record = self._record(rules)
        return lambda term: (
            term.with_items(map(record, term.items)) if term.sort == LIST else self._personal(term)
        )

    def _record(self, rules: list[Rule]) -> Rule:
        return lambda term: self._each(term, *rules) if term.sort == TUPLE else self._personal(term)

    def _field_names(self, term: Term) -> bytes:
        if term.sort != LIST:
            return self._personal(term)
        return term.with_items(map(self._name, term.items))

    # -- rules ------------------------------------------------------------------------

    def _each(self, term: Term, *rules: Rule) -> bytes:
        """A container's items, each by its rule; those beyond them may be anything."""
        if _is_compound(term):
            return self._personal(term)
        parts = [rule(item) for rule, item in zip(rules, term.items, strict=False)]
        parts += map(self._personal, term.items[len(rules) :])
        return term.with_items(parts)

    def _parts(self, *rules: Rule) -> Rule:
        return lambda term: self._each(term, *rules) if term.sort == TUPLE else self._personal(term)

    def _personal(self, term: Term) -> bytes:
        """What may tell of somebody: replaced, whatever it is."""
        if term.sort == ATOM and term.value in {"undefined", "true", "false"}:
            return term.raw
        if term.text is not None:
            return self._rewritten(term, self._names.text)
        if term.sort == NUMBER:
            return write_integer(self._names.integer(term.value))
        if term.sort == FLOAT:
            return write_float(self._names.fraction(term.value))
        if _is_compound(term):
            return self._compound(term)
        if _is_address(term):
            parts = self._names.address(*(item.value for item in term.items))
            return term.with_items(map(write_integer, parts))
        return term.with_items(map(self._personal, term.items))

    def _compound(self, term: Term) -> bytes:
        """What BERT has of its own: ``{bert, Name, …}``."""
        first, name, *rest = term.items
        if name.value == "string":
            encoding, text = rest
            replaced = self._names.text(text.text or "")
            if (encoding.text or "").lower().startswith("utf"):
                return term.with_items(
                    (first.raw, name.raw, encoding.raw, text.with_text(replaced))
                )
            raw = replaced.encode("latin-1", "replace")
            size = len(raw).to_bytes(4, "big")
            return term.with_items((first.raw, name.raw, encoding.raw, b"m" + size + raw))
        if name.value in {"dict", "regex"}:
            return term.with_items((first.raw, name.raw, *map(self._personal, rest)))
        return term.raw  # nothing, a truth value, or a time

    def _plain(self, term: Term) -> bytes:
        """An id, a time, a status: numbers stay."""
        if term.sort in {NUMBER, FLOAT} or _DECIMAL.fullmatch(term.text or ""):
            return term.raw
        return self._word(term)

    def _word(self, term: Term) -> bytes:
        """One of the protocol's own words."""
        return term.raw if term.text in _WORDS else self._personal(term)

    def _name(self, term: Term) -> bytes:
        """What the protocol calls something, in this version or in one to come."""
        return term.raw if _NAME.fullmatch(term.text or "") else self._personal(term)

    def _atom(self, term: Term) -> bytes:
        """What a message, an event or a state is called: atoms are made by the PBX's authors."""
        known = term.sort == ATOM or term.text in _KNOWN
        return self._name(term) if known else self._personal(term)

    def _uuid(self, term: Term) -> bytes:
        if term.sort in {ATOM, LIST} or term.text is None:
            return self._plain(term)
        return self._rewritten(term, self._names.uuid)

    def _number(self, term: Term) -> bytes:
        text = term.text or ""
        if text in _MARKERS:
            return term.raw
        if text.startswith(_PICKUP):
            return term.with_text(_PICKUP + self._names.uuid(text.removeprefix(_PICKUP)))
        if text.startswith(_RINGING_PARK):
            rest = text.removeprefix(_RINGING_PARK)
            return term.with_text(_RINGING_PARK + self._names.text(rest))
        return self._personal(term)

    def _matching(self, pattern: re.Pattern[str]) -> Rule:
        return lambda term: term.raw if pattern.fullmatch(term.text or "") else self._personal(term)

    def _joined(self, separator: str) -> Rule:
        """Texts in one, of which some may be the protocol's own words."""

        def replace(text: str) -> str:
            parts = text.split(separator)
            return separator.join(
                part if part in _WORDS else self._names.text(part) for part in parts
            )

        return lambda term: (
            self._personal(term) if term.text is None else self._rewritten(term, replace)
        )

    def _end_user(self, term: Term) -> bytes:
        if term.text is None:
            return self._personal(term)
        many = _MANY.match(term.text)
        begin = many.end() if many else 0
        return self._rewritten(term, lambda text: text[:begin] + self._names.text(text[begin:]))

    def _other_info(self, term: Term) -> bytes:
        inside = bool(term.items) and term.items[0].text == "user"
        who = self._plain if inside else self._end_user
        rest = (self._word, self._word, self._number, self._plain, self._plain)
        return self._parts(self._word, who, *rest)(term)

    def _state(self, term: Term) -> bytes:
        if term.sort != TUPLE or len(term.items) < 2:
            return self._personal(term)
        name = term.items[1].text or ""
        if name == "calling":
            rules = [self._word, self._word, self._called(term)]
        else:
            parts = _PARTS.get(name, ())
            rules = [self._rules.get(part or "", self._personal) for part in parts]
        return self._each(term, self._plain, self._atom, *rules)

    def _called(self, term: Term) -> Rule:
        """The last part of ``calling``, by the sort of target."""
        match [item.text for item in term.items[3:4]]:
            case ["user"]:
                return self._parts(self._plain)
            case ["group"]:
                return self._parts(self._word, self._plain)
        return self._parts(self._number)

    def _rewritten(self, term: Term, replace: Callable[[str], str]) -> bytes:
        text = term.text or ""
        if term.sort == ATOM and text in {"undefined", "true", "false"}:
            return term.raw
        replaced = replace(text)
        return term.raw if replaced == text else term.with_text(replaced)


def anonymise(
    frames: Iterable[bytes | str], key: bytes | None = None, *, country_code: str = "81"
) -> Iterator[bytes]:
    """The frames of one connection with all replaced that tells of people; see ``Anonymiser``.

    Those that can't be read are left out.
    """
    anonymiser = Anonymiser(key, country_code=country_code)
    for frame in frames:
        replaced = anonymiser(frame)
        if replaced is not None:
            yield replaced


def _is_compound(term: Term) -> bool:
    first = term.items[0] if term.sort == TUPLE and term.items else None
    return first is not None and first.sort == ATOM and first.value == "bert"


def _is_address(term: Term) -> bool:
    """Whether a tuple is an IP address, as Erlang has them."""
    limit = {4: 256, 8: 65536}.get(len(term.items), 0)
    return (
        term.sort == TUPLE
        and all(item.sort == NUMBER and 0 <= item.value < limit for item in term.items)
        and bool(term.items)
    )
