"""Anonymiser: replaces personal data in frames; decides which parts of a message are kept.

Only what is listed here is kept: ids and uuids, times, statuses, and the protocol's own words
in the fields that hold them. Everything else is taken for a name, number or address and is
replaced, including unknown fields and messages. A new kind of personal data is therefore
replaced without a change here.

A *rule* is a function from a term to the bytes to write for it. Rules named ``_keep…`` keep a
term that they recognise and replace any other.
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
from .term_rewriter import (
    ATOM,
    FLOAT,
    INTEGER,
    LIST,
    TUPLE,
    Rule,
    Term,
    encode_float,
    encode_integer,
    read_term,
)

# The protocol's own words, kept in the fields that hold one of a few words.
_PROTOCOL_WORDS = frozenset(
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

# Texts and prefixes that take the place of a telephone number.
_MARKERS = frozenset({"anonymous", "media_plug"})
_UUID_MARKER = re.compile(r"((?:pickup_uuid|assimilate|RINGING_PARK|LOCAL_PARK)\.)(.*)", re.DOTALL)
_PARK_MARKER = re.compile(r"(RINGING_PARK|LOCAL_PARK)(.*)", re.DOTALL)

# Names of messages, kinds, fields, events and states.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

# Values of the fields last_event_data and mwi, an id or time as text, and the start of end_user.
_HANGUP_DATA = re.compile(r"(?:recv|send)_(?:bye|cancel|refuse)(?:,[A-Z][A-Z_]*)?")
_MESSAGE_COUNTS = re.compile(r"\d{1,4}(?:/\d{1,4})*", re.ASCII)
_DIGITS = re.compile(r"\d{1,20}", re.ASCII)
_MANY_PREFIX = re.compile(r"_MANY_:\d*\|?", re.ASCII)

# Fields of each state, by its name; declared fields of each kind of element.
_STATE_FIELDS = {state.name: state.PARTS for state in (Calling, *STATES)}
_KNOWN_NAMES = {*_STATE_FIELDS, "added", "updated", "removed", "field_spec", "system_msg", "msg"}

_DECLARED_FIELDS = {
    kind: {one.name for one in attrs.fields(cls)} - {"extra", "element_name"}
    for kind, cls in ELEMENTS.items()
}


class Anonymiser:
    """Callable that takes a frame and returns it with all personal data replaced.

    It replaces names, numbers, addresses and every other text that is not known to be harmless,
    also inside escaped and composed texts. The same text gets the same pseudonym in all frames.
    Shapes, ids, times and states are kept, so that the same calls result from the frames.

    Returns ``None`` for a frame that cannot be decoded, and for a text frame.

    - ``key``: decides which pseudonym replaces which original, up to 64 bytes. Recordings
      anonymised with the same key fit together, but who knows the key can test guesses of names
      and numbers. ``None``: a random key that is not stored.
    - ``country_code``: country code of telephone numbers in national form.

    Call ``start_connection`` at the beginning of each connection.
    """

    def __init__(self, key: bytes | None = None, *, country_code: str = "81") -> None:
        self._pseudonyms = Pseudonyms(key, country_code)
        self._field_rules: dict[str, list[Rule]] = {}
        self._rules: dict[str, Rule] = {
            **dict.fromkeys(("uuid", "other_uuid"), self._channel_uuid),
            **dict.fromkeys(
                ("direction", "peer_location", "last_event", "target_type", "operation"),
                self._keep_word,
            ),
            **dict.fromkeys(
                # A caller without a name has the number in calling_name.
                ("calling_name", "calling_number", "called_number", "peer_number"),
                self._phone_number,
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
                self._keep_number,
            ),
            "eavesdrop_state": self._keep_word,
            "last_event_data": self._keep_matching(_HANGUP_DATA),
            "mwi": self._keep_matching(_MESSAGE_COUNTS),
            "state": self._state,
            "target": self._tuple(
                self._keep_word, self._keep_number, self._replace_value, self._phone_number
            ),
            "end_user": self._end_user,
            "other_info": self._other_info,
            "origination": self._joined_texts("*"),
            "tags": self._joined_texts(";"),
        }

    def start_connection(self) -> None:
        """Forget the field names: each connection announces its own."""
        self._field_rules.clear()

    def __call__(self, frame: bytes | str) -> bytes | None:
        """Return the anonymised frame; ``None``: it cannot be decoded or is a text frame."""
        if isinstance(frame, str):
            return None
        try:
            decode(frame)
        except DecodeError:
            return None
        return b"\x83" + self._message(read_term(frame))

    def _message(self, term: Term) -> bytes:
        if term.type != TUPLE or not term.items:
            return self._replace(term)
        name, *rest = (item.text for item in term.items)
        kind = rest[0] if rest else None
        match name:
            case "field_spec" if kind is not None and len(rest) > 1:
                self._learn_fields(kind, term.items[2])
                return self._items(term, self._keep_name, self._keep_name, self._field_names)
            case "initial_info":
                records = self._record_list(self._field_rules.get(kind or "", []))
                return self._items(term, self._keep_name, self._keep_name, records)
            case "info_event":
                record = self._record(self._field_rules.get(kind or "", []))
                return self._items(
                    term, self._keep_name, self._keep_name, record, self._keep_known_name
                )
            case "system_msg":
                return self._items(term, self._keep_name, self._keep_word)
        return self._items(term, self._keep_known_name)

    def _learn_fields(self, kind: str, names: Term) -> None:
        known = _DECLARED_FIELDS.get(kind, set())
        self._field_rules[kind] = [
            self._rules.get(name.text or "", self._replace_value)
            if name.text in known
            else self._replace
            for name in names.items
        ]

    def _record_list(self, rules: list[Rule]) -> Rule:
        record = self._record(rules)
        return lambda term: (
            term.with_items(map(record, term.items)) if term.type == LIST else self._replace(term)
        )

    def _record(self, rules: list[Rule]) -> Rule:
        return lambda term: self._items(term, *rules) if term.type == TUPLE else self._replace(term)

    def _field_names(self, term: Term) -> bytes:
        if term.type != LIST:
            return self._replace(term)
        return term.with_items(map(self._keep_name, term.items))

    # -- rules ------------------------------------------------------------------------

    def _items(self, term: Term, *rules: Rule) -> bytes:
        """Apply one rule to each item of a container; replace the items beyond the rules."""
        if _is_compound(term):
            return self._replace(term)
        parts = [rule(item) for rule, item in zip(rules, term.items, strict=False)]
        parts += map(self._replace, term.items[len(rules) :])
        return term.with_items(parts)

    def _tuple(self, *rules: Rule) -> Rule:
        return lambda term: self._items(term, *rules) if term.type == TUPLE else self._replace(term)

    def _replace(self, term: Term) -> bytes:
        """Replace personal data: texts, numbers and addresses, at any depth."""
        if term.type == ATOM and term.value in {"undefined", "true", "false"}:
            return term.raw
        if term.text is not None:
            return self._rewrite_text(term, self._pseudonyms.text)
        if term.type == INTEGER:
            return encode_integer(self._pseudonyms.integer(term.value))
        if term.type == FLOAT:
            return encode_float(self._pseudonyms.floating(term.value))
        if _is_compound(term):
            return self._bert_compound(term)
        if _is_address(term):
            parts = self._pseudonyms.address(*(item.value for item in term.items))
            return term.with_items(map(encode_integer, parts))
        return term.with_items(map(self._replace, term.items))

    def _replace_value(self, term: Term) -> bytes:
        """Replace personal data in a declared field, where a list of texts is one text.

        Elsewhere it may be a list of names, whose shape is kept.
        """
        if term.type == LIST and term.chardata is not None:
            return self._rewrite_text(term, self._pseudonyms.text)
        return self._replace(term)

    def _bert_compound(self, term: Term) -> bytes:
        """Replace personal data in a BERT compound, ``{bert, Name, …}``."""
        first, name, *rest = term.items
        if name.value == "string":
            encoding, text = rest
            replaced = self._pseudonyms.text(text.text or "")
            if (encoding.text or "").lower().startswith("utf"):
                return term.with_items(
                    (first.raw, name.raw, encoding.raw, text.with_text(replaced))
                )
            raw = replaced.encode("latin-1", "replace")
            size = len(raw).to_bytes(4, "big")
            return term.with_items((first.raw, name.raw, encoding.raw, b"m" + size + raw))
        if name.value in {"dict", "regex"}:
            return term.with_items((first.raw, name.raw, *map(self._replace, rest)))
        return term.raw  # nil, a boolean or a time

    def _keep_number(self, term: Term) -> bytes:
        """Keep an id, a time or a status: a number, or a protocol word."""
        if term.type in {INTEGER, FLOAT} or _DIGITS.fullmatch(term.text or ""):
            return term.raw
        return self._keep_word(term)

    def _keep_word(self, term: Term) -> bytes:
        """Keep one of the protocol's own words."""
        return term.raw if term.text in _PROTOCOL_WORDS else self._replace(term)

    def _keep_name(self, term: Term) -> bytes:
        """Keep a name that the protocol may use, in this or a later version."""
        return term.raw if _NAME.fullmatch(term.text or "") else self._replace(term)

    def _keep_known_name(self, term: Term) -> bytes:
        """Keep the name of a message, event or state.

        Any atom is kept if it is a name: atoms come from the PBX's program, not from its users.
        """
        known = term.type == ATOM or term.text in _KNOWN_NAMES
        return self._keep_name(term) if known else self._replace(term)

    def _channel_uuid(self, term: Term) -> bytes:
        if term.type == ATOM or term.chardata is None:
            return self._keep_number(term)
        return self._rewrite_text(term, self._pseudonyms.uuid)

    def _phone_number(self, term: Term) -> bytes:
        text = term.chardata or ""
        if text in _MARKERS:
            return term.raw
        if match := _UUID_MARKER.fullmatch(text):
            return term.with_text(match[1] + self._pseudonyms.uuid(match[2]))
        if match := _PARK_MARKER.fullmatch(text):
            return term.with_text(match[1] + self._pseudonyms.text(match[2]))
        return self._replace_value(term)

    def _keep_matching(self, pattern: re.Pattern[str]) -> Rule:
        return lambda term: term.raw if pattern.fullmatch(term.text or "") else self._replace(term)

    def _joined_texts(self, separator: str) -> Rule:
        """Return a rule for texts joined by a separator, some of which may be protocol words."""
        kept = _PROTOCOL_WORDS | _MARKERS

        def replace(text: str) -> str:
            parts = text.split(separator)
            return separator.join(
                part if part in kept else self._pseudonyms.text(part) for part in parts
            )

        def rule(term: Term) -> bytes:
            text = term.chardata
            if text is None:
                return self._replace(term)
            if term.text is None and separator not in text:  # a list of several texts
                return term.with_items(map(rule, term.items))
            return self._rewrite_text(term, replace)

        return rule

    def _end_user(self, term: Term) -> bytes:
        if term.chardata is None:
            return self._replace(term)
        many = _MANY_PREFIX.match(term.chardata)
        begin = many.end() if many else 0
        return self._rewrite_text(
            term, lambda text: text[:begin] + self._pseudonyms.text(text[begin:])
        )

    def _other_info(self, term: Term) -> bytes:
        is_user = bool(term.items) and term.items[0].text == "user"
        party = self._keep_number if is_user else self._end_user
        rest = (
            self._keep_word,
            self._keep_word,
            self._phone_number,
            self._keep_number,
            self._keep_number,
        )
        return self._tuple(self._keep_word, party, *rest)(term)

    def _state(self, term: Term) -> bytes:
        if term.type != TUPLE or len(term.items) < 2:
            return self._replace(term)
        name = term.items[1].text or ""
        if name == "calling":
            rules = [self._keep_word, self._keep_word, self._calling_target(term)]
        else:
            parts = _STATE_FIELDS.get(name, ())
            rules = [self._rules.get(part or "", self._replace_value) for part in parts]
        return self._items(term, self._keep_number, self._keep_known_name, *rules)

    def _calling_target(self, term: Term) -> Rule:
        """Return the rule for the last part of ``calling``, by the type of the target."""
        match [item.text for item in term.items[3:4]]:
            case ["user"]:
                return self._tuple(self._keep_number)
            case ["group"]:
                return self._tuple(self._keep_word, self._keep_number)
        return self._tuple(self._phone_number)

    def _rewrite_text(self, term: Term, replace: Callable[[str], str]) -> bytes:
        text = term.chardata or ""
        if term.type == ATOM and text in {"undefined", "true", "false"}:
            return term.raw
        replaced = replace(text)
        return term.raw if replaced == text else term.with_text(replaced)


def anonymise(
    frames: Iterable[bytes | str], key: bytes | None = None, *, country_code: str = "81"
) -> Iterator[bytes]:
    """Yield the frames of one connection with all personal data replaced.

    See ``Anonymiser``. Frames that cannot be decoded are left out.
    """
    anonymiser = Anonymiser(key, country_code=country_code)
    for frame in frames:
        replaced = anonymiser(frame)
        if replaced is not None:
            yield replaced


def _is_compound(term: Term) -> bool:
    """Return True for a BERT compound, ``{bert, …}``."""
    first = term.items[0] if term.type == TUPLE and term.items else None
    return first is not None and first.type == ATOM and first.value == "bert"


def _is_address(term: Term) -> bool:
    """Return True for an IP address in Erlang's form: a tuple of 4 bytes or 8 16-bit numbers."""
    limit = {4: 256, 8: 65536}.get(len(term.items), 0)
    return (
        term.type == TUPLE
        and all(item.type == INTEGER and 0 <= item.value < limit for item in term.items)
        and bool(term.items)
    )
