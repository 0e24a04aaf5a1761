"""What a mirror weighs, against plain dicts of the same elements, as ``to_dict`` makes them.

Each is read from the same frames in a process of its own: neither shares a text with the other,
and what one shares within itself is counted once.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import workload
from keeping import mirror_of
from measure import Row, Size, take_turns

from basix_ws_cti import InitialInfo, MessageParser, to_dict
from basix_ws_cti.messages import Message


def as_dicts(messages: Iterable[Message]) -> dict[str, dict[Any, dict[str, Any]]]:
    """What is read, in plain dicts, and nothing else of it."""
    return {
        message.element_name: {key: to_dict(one) for key, one in message.elements.items()}
        for message in messages
        if isinstance(message, InitialInfo)
    }


HOLDERS = {"dicts": as_dicts, "mirror": mirror_of}


def weigh(holder: str, file: Path) -> int:
    """Bytes of what a holder makes of the frames, when all else is gone."""
    frames = workload.unpack(file.read_bytes())
    half = len(frames) // 2  # the field_specs come first
    parser = MessageParser()
    for frame in frames[:half]:
        parser.parse(frame)
    gc.collect()
    tracemalloc.start()
    held: Mapping[str, Any] = HOLDERS[holder](parser.parse(frame) for frame in frames[half:])
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    assert any(len(held[kind]) for kind in held)
    return size


def memory(size: Size, _: int) -> list[Row]:
    """A mirror, in multiples of plain dicts of the same elements, for each element."""
    users, channels = size.held_users, size.held_channels
    rows = []
    for kinds, name, count in (
        (("user",), f"{users:,} users", users),
        (("channel",), f"{channels:,} channels", channels),
        (("user", "channel"), "both", users + channels),
    ):
        with tempfile.NamedTemporaryFile() as file:
            file.write(workload.pack(workload.company(users, channels, kinds)))
            file.flush()

            def weighed(holder: str, path: str = file.name) -> int:
                command = [sys.executable, __file__, holder, path]
                return int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

            (dicts,), (mirror,) = take_turns(
                {holder: lambda h=holder: weighed(h) for holder in HOLDERS}, 1
            ).values()
        for holder, weight in (("dicts", dicts), ("mirror", mirror)):
            rows.append(
                Row(
                    group="memory",
                    name=f"{name}: {holder}, bytes each",
                    unit="B",
                    values=[weight / count],
                    figures=[weight / dicts],
                    base="dicts",
                )
            )
    return rows


if __name__ == "__main__":
    print(weigh(sys.argv[1], Path(sys.argv[2])))
