"""What is measured: the frames of tests/data, and those of a simulated day."""

from __future__ import annotations

import gzip
import itertools
import json
import random
import re
import struct
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from unittest.mock import patch

from attrs import frozen

from basix_ws_cti.simulator import Pbx, scenarios
from basix_ws_cti.simulator.model import Channel, Person
from basix_ws_cti.simulator.sessions import opening
from basix_ws_cti.simulator.timeline import Timeline
from basix_ws_cti.simulator.wire import Writer
from basix_ws_cti.terms import decode

DATA = Path(__file__).parent.parent / "data"

PREFECTURES = ("東京都", "大阪府", "愛知県", "Osaka", "")


@frozen
class Session:
    """The frames that a connection begins with, and those that follow."""

    opening: list[bytes]
    events: list[bytes]


def unpack(data: bytes) -> list[bytes]:
    """Frames, each after its length as 4 bytes big-endian."""
    frames, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        frames.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return frames


def pack(frames: Iterable[bytes]) -> bytes:
    """Frames, each behind its length."""
    return b"".join(struct.pack(">I", len(frame)) + frame for frame in frames)


def bench(events: int = 2000) -> Session:
    """The headline: two field_specs, two initial_infos, up to 2,000 channel events."""
    frames = unpack(gzip.decompress((DATA / "bench.frames.gz").read_bytes()))
    return Session(frames[:4], frames[4 : 4 + events])


def ever_new(frames: list[bytes]) -> Iterator[bytes]:
    """The same events over and over, each time round with other timestamps.

    Or all but the first round would tell a mirror nothing new. A timestamp is an integer of
    seven bytes, the lowest first.
    """
    for number in itertools.count():
        stamp = bytes([number % 256])
        for frame in frames:
            yield re.sub(
                rb"n\x07\0.", lambda found, s=stamp: found[0][:3] + s, frame, flags=re.DOTALL
            )


def corpus() -> dict[str, list[tuple[list[bytes], list[bytes]]]]:
    """The frames of the conformance sessions by sort and kind.

    With each few frames go the field_specs that are to be read before them. A sort that no
    session has is written here.
    """
    sorts: dict[str, dict[tuple[bytes, ...], list[bytes]]] = defaultdict(lambda: defaultdict(list))
    for line in (DATA / "conformance.jsonl").read_text(encoding="utf-8").splitlines():
        for form, frames in json.loads(line)["wire"].items():
            if form not in {"string/minor1", "string/minor2"}:
                continue  # zlib is not what is measured, and the PBX sends charlists
            specs: dict[str, bytes] = {}
            for frame in map(bytes.fromhex, frames):
                match decode(frame):
                    case "field_spec", kind, _:
                        specs[kind] = frame
                        sorts["field_spec"][()].append(frame)
                    case "initial_info" | "info_event" as sort, kind, *_:
                        spec = (specs[kind],) if kind in specs else ()
                        sorts[f"{sort} {kind}"][spec].append(frame)
                    case sort, _:
                        sorts[sort][()].append(frame)
    sorts["unknown"][()] = [
        Writer(otp=otp).message("call_statistics", number, b"waiting", [1, number])
        for number in range(20)
        for otp in (25, 26)
    ]
    return {
        sort: [([*specs], frames) for specs, frames in sorts[sort].items()]
        for sort in sorted(sorts)
    }


def callers(chance: random.Random, count: int = 3000) -> list[Person]:
    """Customers of whom hardly one calls twice."""
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


def day(events: int, *, seed: int, kinds: Collection[str] = (), before: int = 1000) -> Session:
    """Events of a day in a call centre, no two of them the same; of some kinds, or of all.

    ``before`` is how many happen before anybody looks.
    """
    pbx = Pbx(seed)
    pbx.now += seed * 10**12  # no two days have a timestamp in common
    scenarios.company(pbx, 200)
    seen = watch(pbx, kinds)
    timeline = Timeline(pbx)
    timeline.start(scenarios.day(pbx, timeline, 60.0))
    with patch.object(scenarios, "CALLERS", callers(random.Random(seed))):
        while len(seen) < before:
            timeline.step()
        start = opening_of(pbx)
        seen.clear()
        while len(seen) < events:
            timeline.step()
    return Session(start, seen[:events])


def rush(channels: int) -> Session:
    """So many channels, half of which call the others: all are there before the first goes."""
    pbx = Pbx()
    scenarios.company(pbx, channels // 2)
    start, seen = opening_of(pbx), watch(pbx)
    lines = talk(pbx, channels)
    for line in lines:
        pbx.hang_up(line)
    return Session(start, seen)


def talk(pbx: Pbx, channels: int) -> list[Channel]:
    """So many channels, half of which have called a user each, who answered."""
    lines = []
    people = callers(random.Random(1), channels // 2)
    for caller, user in zip(people, pbx.users.values(), strict=False):
        lines.append(pbx.receive(caller, "0501234567"))
        pbx.connect(pbx.call_user(lines[-1], user))
    return lines


def watch(pbx: Pbx, kinds: Collection[str] = ()) -> list[bytes]:
    """A list of the frames of what happens from now on; of some kinds, or of all.

    What is said a second time, word by word, is left out: a user who is away again.
    """
    writer = Writer()
    seen: list[bytes] = []
    known: set[bytes] = set()

    def see(kind: str, _: object, picture: dict[str, object], event_name: str) -> None:
        if not kinds or kind in kinds:
            frame = writer.info_event(kind, writer.record(kind, picture), event_name)
            if frame not in known:
                known.add(frame)
                seen.append(frame)

    pbx.listeners.append(see)
    return seen


def opening_of(pbx: Pbx, kinds: Iterable[str] = ()) -> list[bytes]:
    """What a connection begins with: all that there is, or some kinds of it."""
    writer, snapshot = Writer(), pbx.snapshot()
    return opening(
        writer,
        {
            kind: [writer.record(kind, one) for one in snapshot[kind].values()]
            for kind in kinds or snapshot
        },
    )


def company(users: int, channels: int = 0, kinds: Iterable[str] = ("user",)) -> list[bytes]:
    """The field_specs, then the initial_infos, of so many users and channels that talk."""
    pbx = Pbx()
    scenarios.company(pbx, users)
    talk(pbx, channels)
    return opening_of(pbx, kinds)
