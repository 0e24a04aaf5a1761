"""Workloads of the benchmarks: frames of tests/data and of a simulated PBX."""

from __future__ import annotations

import gzip
import itertools
import random
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest.mock import patch

from attrs import frozen

from basix_ws_cti.simulator import Pbx, scenarios
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.model import Channel, Person
from basix_ws_cti.simulator.session_frames import initial_frames
from basix_ws_cti.simulator.timeline import Timeline

BENCH = Path(__file__).parent.parent / "data" / "bench.frames.gz"

PREFECTURES = ("東京都", "大阪府", "愛知県", "Osaka", "")


@frozen
class Session:
    """Initial frames of a connection, and the events that follow."""

    opening: list[bytes]
    events: list[bytes]


def bench(events: int = 2000) -> Session:
    """Return two field_specs, two initial_infos, and up to 2,000 channel events."""
    data = gzip.decompress(BENCH.read_bytes())
    frames, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        frames.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return Session(frames[:4], frames[4 : 4 + events])


def ever_new(frames: list[bytes]) -> Iterator[bytes]:
    """Repeat the events without end, with other timestamps in each round.

    Without that, only the first round would change a mirror. A timestamp is an integer of seven
    bytes, lowest byte first.
    """
    for number in itertools.count():
        stamp = bytes([number % 256])
        for frame in frames:
            yield re.sub(
                rb"n\x07\0.", lambda found, s=stamp: found[0][:3] + s, frame, flags=re.DOTALL
            )


def callers(seed: int, count: int = 3000) -> list[Person]:
    """Return many customers, so that few of them call twice."""
    chance = random.Random(seed)
    numbers = [f"050{chance.randrange(10**8):08}" for _ in range(count)]
    return [
        Person(
            number,
            str(chance.randrange(10**6)),
            f"お客様 {number[-4:]} {chance.randrange(10**4)}",
            f"Example {chance.randrange(10**5)}" if chance.random() < 0.5 else "",
            f"{number}.png" if chance.random() < 0.3 else "",
            chance.choice(PREFECTURES),
        )
        for number in numbers
    ]


def day(events: int, *, seed: int, kind: str | None = None, before: int = 1000) -> Session:
    """Return different events of a day in a call centre, of one kind or of all kinds.

    ``before`` is the number of events before the connection opens.
    """
    pbx = Pbx(seed)
    scenarios.populate(pbx, 200)
    seen = watch(pbx, kind)
    timeline = Timeline(pbx)
    timeline.start(scenarios.day(pbx, timeline, 60.0))
    with patch.object(scenarios, "CALLERS", callers(seed)):
        while len(seen) < before:
            timeline.step()
        start = opening_of(pbx)
        seen.clear()
        while len(seen) < events:
            timeline.step()
    return Session(start, seen[:events])


def watch(pbx: Pbx, only: str | None = None) -> list[bytes]:
    """Return a list that receives the frames of all following events, of one or all kinds.

    Repeated identical frames are left out, such as those of a user who is away again.
    """
    writer = Writer()
    seen: list[bytes] = []
    known: set[bytes] = set()

    def see(kind: str, _: object, state: dict[str, object], event_name: str) -> None:
        if only in {None, kind}:
            frame = writer.info_event(kind, writer.record(kind, state), event_name)
            if frame not in known:
                known.add(frame)
                seen.append(frame)

    pbx.listeners.append(see)
    return seen


def opening_of(pbx: Pbx, kinds: Iterable[str] = ()) -> list[bytes]:
    """Return the field_specs, then the initial_infos, of some or all kinds."""
    writer, snapshot = Writer(), pbx.snapshot()
    return initial_frames(
        writer,
        {
            kind: [writer.record(kind, one) for one in snapshot[kind].values()]
            for kind in kinds or snapshot
        },
    )


def talk(pbx: Pbx, calls: int) -> list[Channel]:
    """Connect customers with different users; return the customers' channels."""
    channels = []
    for caller, user in zip(callers(1, calls), [*pbx.users.values()][:calls], strict=True):
        channel = pbx.receive(caller, "0501234567")
        pbx.connect(pbx.call_user(channel, user))
        channels.append(channel)
    return channels


def company(users: int, calls: int = 0, kinds: Iterable[str] = ("user",)) -> list[bytes]:
    """Return the field_specs, then the initial_infos, of users and of calls with two channels."""
    pbx = Pbx()
    scenarios.populate(pbx, users)
    talk(pbx, calls)
    return opening_of(pbx, kinds)


def rush(channels: int) -> Session:
    """Return a session that adds channels in pairs, then removes all of them."""
    pbx = Pbx()
    scenarios.populate(pbx, channels // 2)
    start, seen = opening_of(pbx), watch(pbx)
    for channel in talk(pbx, channels // 2):
        pbx.hang_up(channel)
    return Session(start, seen)


def message_kinds(count: int) -> dict[str, tuple[Session, int]]:
    """Return, for each kind of message, a session and the number of its elements or messages.

    Each session has up to ``count`` different elements. The kinds that only older servers send
    are included.
    """
    found: dict[str, tuple[Session, int]] = {}
    specs = []
    for older in (False, True):
        writer, pbx = Writer(), Pbx(older=older)
        scenarios.populate(pbx, count * 2)
        group = next(iter(pbx.groups.values()))
        for channel in talk(pbx, count)[:10]:  # the PBX has few park slots
            pbx.park(channel)
        for caller in callers(2, count):
            pbx.call_group(pbx.receive(caller, "0501234567"), group)
        for kind, elements in pbx.snapshot().items():
            spec = writer.field_spec(kind)
            specs.append(spec)
            records = [writer.record(kind, one) for one in [*elements.values()][:count]]
            events = [writer.info_event(kind, record, "updated") for record in records]
            found[f"info_event {kind}"] = (Session([spec], events), len(events))
            info = writer.initial_info(kind, records)
            found[f"initial_info {kind}, each"] = (Session([spec], [info]), len(records))
    others = {
        "field_spec": specs,
        "system_msg": [writer.system_msg(f"word {number}") for number in range(count)],
        "msg": [writer.msg(f"お知らせ {number}") for number in range(count)],
        "unknown": [
            writer.message("call_statistics", number, b"waiting", [1, number])
            for number in range(count)
        ],
    }
    found |= {kind: (Session([], frames), len(frames)) for kind, frames in others.items()}
    return dict(sorted(found.items()))
