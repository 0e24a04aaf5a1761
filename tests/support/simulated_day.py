"""A simulated PBX's day on one connection: frames, recordings, and the personal texts in them."""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_plus

from basix_ws_cti.recording import Connected, Frame, Recorder
from basix_ws_cti.simulator import scenarios
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.pbx import Pbx
from basix_ws_cti.simulator.timeline import Timeline

# Fields without personal data.
NOT_PERSONAL = {
    *("uuid", "other_uuid", "direction", "peer_location", "last_event", "last_event_data", "tags"),
    *("type", "target_type", "target_location", "group_type", "eavesdrop_state", "operation"),
    *("mwi",),
}

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def frames(seconds, *, seed=7, users=50, rate=9, personal_texts=None, **options):
    """Yield times (in seconds) and frames: the snapshot, and then each event of a day.

    ``personal_texts`` is a set to which all personal texts of the day are added.
    """
    pbx = Pbx(seed)
    scenarios.populate(pbx, users)
    writer = Writer(**options)
    personal_texts = set() if personal_texts is None else personal_texts
    start, pending = pbx.now, []

    def on_event(kind, key, values, event_name):
        record = writer.record(kind, values)
        pending.append(writer.info_event(kind, record, event_name))
        personal_texts.update(personal(values))

    def take_pending():
        at = (pbx.now - start) / 1e6
        yield from ((at, frame) for frame in pending)
        pending.clear()

    for kind, elements in pbx.snapshot().items():
        records = [writer.record(kind, values) for values in elements.values()]
        yield 0.0, writer.field_spec(kind)
        yield 0.0, writer.initial_info(kind, records)
        personal_texts.update(personal([*elements.values()]))
    pbx.listeners.append(on_event)
    timeline = Timeline(pbx)
    timeline.start(scenarios.day(pbx, timeline, rate), 1)
    while pbx.now < start + seconds * 1e6:
        timeline.step()
        yield from take_pending()
    while pbx.channels:
        pbx.now += 500_000
        pbx.hang_up(pbx.random.choice(list(pbx.channels.values())))
        yield from take_pending()
    numbers = [(r.caller_number, r.called_number, r.answered_by_number) for r in pbx.ledger]
    personal_texts.update(personal(numbers))


def record_day(path, seconds, *, started=None, delay=0.0, **options):
    """Write a recording of a day, without the time that it takes to write it.

    - ``started``: its start; ``None``: now.
    - ``delay``: seconds from the connection to the snapshot.
    - ``options``: those of ``frames``.
    """
    with Recorder(path, started=started, clock=lambda: 0.0) as recorder:
        recorder.write(Connected(0.0))
        for at, frame in frames(seconds, **options):
            recorder.write(Frame(at + delay, frame))


def personal(value, name=""):
    """Yield every text in an element's values that may be personal."""
    if isinstance(value, dict):
        # The name of a state is part of the protocol.
        items = value["data"] if "ts" in value else value
        for key, item in items.items():
            yield from personal(item, key)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from personal(item, name)
    elif isinstance(value, str) and name not in NOT_PERSONAL:
        yield value


def searchable_parts(texts):
    """Return the words and numbers in texts, and the texts that contain none.

    An output without any of these parts contains none of the texts.
    """
    complete = {text for text in texts if text not in {"anonymous", "media_plug", "call_user"}}
    complete -= {text for text in complete if text.startswith("pickup_uuid.")}
    complete |= {unquote(text) for text in complete}
    found = set()
    for text in complete:
        words = [] if "%" in text else re.findall(r"\w+", UUID.sub(" ", text))
        for part in words or [text]:
            if UUID.fullmatch(part) or part in {"name", "spam", "true", "false"}:
                continue
            if part.isdecimal():
                # Numbers of two digits and those of park slots are not personal.
                if len(part) > 3 or (len(part) == 3 and not part >= "901"):
                    found.add(part)
            elif re.search(r"[^\x00-\x7f]", part) or len(re.sub(r"\W", "", part)) > 3:
                found.add(part)
    return found - {"https", "call_user", "media_plug"}


def unescaped_forms(text):
    """Return a text, and the text with its escapes decoded once and twice."""
    once = unquote_plus(text)
    return {UUID.sub(" ", item) for item in (text, unquote(text), once, unquote_plus(once))}


def texts_of(term):
    """Yield every text in a decoded term."""
    if isinstance(term, str):
        yield term
    elif isinstance(term, list | tuple):
        if term and all(isinstance(item, int) and 0 < item < 0xD800 for item in term):
            yield "".join(map(chr, term))
        for item in term:
            yield from texts_of(item)
    elif isinstance(term, dict):
        for pair in term.items():
            yield from texts_of(pair)
    elif isinstance(term, int) and not isinstance(term, bool):
        pass
    elif hasattr(term, "source"):
        yield from texts_of((term.source, term.options))
