"""How long the parse path takes, in multiples of ``marshal.loads`` of the same terms.

Run it as ``python tests/benchmarks/bench_parse.py``. Everything is measured in turn within
one run, round by round, so that a busy machine slows all alike: read the ratios, not the
microseconds. ``marshal`` is the floor, what it takes to make such objects in CPython.
"""

from __future__ import annotations

import argparse
import gzip
import marshal
import statistics
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bert

from basix_ws_cti import MessageParser
from basix_ws_cti.terms import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FRAMES = Path(__file__).parent.parent / "data" / "bench.frames.gz"
SPECS = 4  # two field_specs and two initial_infos stand before the events


def read_frames(path: Path = FRAMES) -> list[bytes]:
    """The frames of a file, each after its length as 4 bytes big-endian."""
    data = gzip.decompress(path.read_bytes())
    frames = []
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        frames.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return frames


def seconds(function: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    """CPU seconds of this process for calling ``function`` with each of the arguments."""
    start = time.process_time()
    for argument in arguments:
        function(argument)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=25)
    rounds = parser.parse_args().rounds

    frames = read_frames()
    events = frames[SPECS:]
    called = []
    reader = MessageParser(on_info_event=lambda *arguments: called.append(len(arguments)))
    for frame in frames[:SPECS]:
        reader.handle_message(frame)
    terms = [marshal.dumps(decode(frame)) for frame in events]
    contestants: dict[str, tuple[Callable[[Any], object], Sequence[Any]]] = {
        "marshal.loads": (marshal.loads, terms),
        "terms.decode": (decode, events),
        "frame to callback": (reader.handle_message, events),
        "bert.decode": (bert.decode, events),
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, (function, arguments) in contestants.items():
            times[name].append(seconds(function, arguments))
    assert len(called) == rounds * len(events)

    ratios = {
        name: statistics.median(
            mine / floor for mine, floor in zip(times[name], times["marshal.loads"], strict=True)
        )
        for name in contestants
    }
    print(f"{len(events)} channel events, {rounds} rounds, medians")
    for name, measured in times.items():
        each = statistics.median(measured) / len(events) * 1e6
        print(f"{name:18} {each:7.2f} µs  {ratios[name]:6.2f} × marshal.loads")
    faster = statistics.median(
        theirs / ours
        for theirs, ours in zip(times["bert.decode"], times["terms.decode"], strict=True)
    )
    print(f"terms.decode is {faster:.2f} times as fast as bert.decode (goal: 2.5)")
    print(f"frame to callback takes {ratios['frame to callback']:.2f} marshals (goal: 14)")
    print(f"CPU seconds in all: {time.process_time():.1f}")


if __name__ == "__main__":
    main()
