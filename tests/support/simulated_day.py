"""A simulated PBX's day as the frames of one connection, and all that it knows of people."""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_plus

from basix_ws_cti.simulator import scenarios
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.pbx import Pbx
from basix_ws_cti.simulator.timeline import Timeline

# What is said of elements and tells of nobody.
HARMLESS = {
    *("uuid", "other_uuid", "direction", "peer_location", "last_event", "last_event_data", "tags"),
    *("type", "target_type", "target_location", "group_type", "eavesdrop_state", "operation"),
    *("mwi",),
}

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def frames(seconds, *, seed=7, users=50, rate=9, heard=None, **options):
    """Times (in seconds) and frames: the picture, and then each event of a day.

    ``heard`` is a set that takes what is told of people.
    """
    pbx = Pbx(seed)
    scenarios.populate(pbx, users)
    writer = Writer(**options)
    heard = set() if heard is None else heard
    start, told = pbx.now, []

    def hear(kind, key, picture, event_name):
        record = writer.record(kind, picture)
        told.append(writer.info_event(kind, record, event_name))
        heard.update(personal(picture))

    def said():
        at = (pbx.now - start) / 1e6
        yield from ((at, frame) for frame in told)
        told.clear()

    for kind, elements in pbx.snapshot().items():
        records = [writer.record(kind, picture) for picture in elements.values()]
        yield 0.0, writer.field_spec(kind)
        yield 0.0, writer.initial_info(kind, records)
        heard.update(personal([*elements.values()]))
    pbx.listeners.append(hear)
    timeline = Timeline(pbx)
    timeline.start(scenarios.day(pbx, timeline, rate), 1)
    while pbx.now < start + seconds * 1e6:
        timeline.step()
        yield from said()
    while pbx.channels:
        pbx.now += 500_000
        pbx.hang_up(pbx.random.choice(list(pbx.channels.values())))
        yield from said()
    numbers = [(r.caller_number, r.called_number, r.answered_by_number) for r in pbx.ledger]
    heard.update(personal(numbers))


def personal(value, name=""):
    """Every text in a picture that may tell of somebody."""
    if isinstance(value, dict):
        # A state's own name is the protocol's.
        inside = value["data"] if "ts" in value else value
        for key, one in inside.items():
            yield from personal(one, key)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from personal(one, name)
    elif isinstance(value, str) and name not in HARMLESS:
        yield value


def traces(texts):
    """What must be found nowhere: the words and numbers in texts, or a text that has none.

    Who finds no part of a text does not find the text either.
    """
    whole = {text for text in texts if text not in {"anonymous", "media_plug", "call_user"}}
    whole -= {text for text in whole if text.startswith("pickup_uuid.")}
    whole |= {unquote(text) for text in whole}
    found = set()
    for text in whole:
        words = [] if "%" in text else re.findall(r"\w+", UUID.sub(" ", text))
        for part in words or [text]:
            if UUID.fullmatch(part) or part in {"name", "spam", "true", "false"}:
                continue
            if part.isdecimal():
                # Two digits tell nothing, and a park slot's three.
                if len(part) > 3 or (len(part) == 3 and not part >= "901"):
                    found.add(part)
            elif re.search(r"[^\x00-\x7f]", part) or len(re.sub(r"\W", "", part)) > 3:
                found.add(part)
    return found - {"https", "call_user", "media_plug"}


def unfolded(text):
    """A text, and what it is with its escapes taken away, once and twice."""
    once = unquote_plus(text)
    return {UUID.sub(" ", one) for one in (text, unquote(text), once, unquote_plus(once))}


def texts_of(term):
    """Every text in a decoded term."""
    if isinstance(term, str):
        yield term
    elif isinstance(term, list | tuple):
        if term and all(isinstance(one, int) and 0 < one < 0xD800 for one in term):
            yield "".join(map(chr, term))
        for one in term:
            yield from texts_of(one)
    elif isinstance(term, dict):
        for pair in term.items():
            yield from texts_of(pair)
    elif isinstance(term, int) and not isinstance(term, bool):
        pass
    elif hasattr(term, "source"):
        yield from texts_of((term.source, term.options))
