"""Decoding, and parsing from frame to callback, as multiples of ``marshal.loads``.

``marshal`` builds the same terms from CPython's own format, in C: the lower bound.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import marshal
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import bert
import workload
from measure import Row, Size, calling, cpu, rows, take_turns

from basix_ws_cti import MessageParser
from basix_ws_cti.parsing.fast_path import FAST_AFTER
from basix_ws_cti.terms import decode

FLOOR = "marshal.loads"


def reader(opening: Sequence[bytes], events: Sequence[bytes] = ()) -> Callable[[bytes], None]:
    """Return ``handle_message`` of a parser with callbacks that has parsed ``opening``.

    It has also parsed enough of ``events``, if there are any, for the next ones to take the fast
    path.
    """

    def called(*_: object) -> None:
        pass

    parser = MessageParser(
        on_initial_info=called, on_info_event=called, on_system_msg=called, on_msg=called
    )
    for frame in [*opening, *itertools.islice(itertools.cycle(events), FAST_AFTER)]:
        parser.handle_message(frame)
    return parser.handle_message


def floor(*rounds: Sequence[bytes], count: int | None = None) -> Callable[[], float]:
    """Return a contestant that loads the same terms with ``marshal``."""
    return calling(
        marshal.loads,
        *([marshal.dumps(decode(frame)) for frame in frames] for frames in rounds),
        count=count,
    )


def contestants(
    read: Callable[[bytes], None], *rounds: Sequence[bytes], count: int | None = None
) -> dict[str, Callable[[], float]]:
    """Return the lower bound, ``decode``, and the parser."""
    return {
        FLOOR: floor(*rounds, count=count),
        "decode": calling(decode, *rounds, count=count),
        "frame to callback": calling(read, *rounds, count=count),
    }


def events(size: Size, _: int) -> list[Row]:
    """Channel events of 534 bytes, the same in each round, with other decoders."""
    session = workload.bench(size.events)
    frames = session.events
    first = frames[: FAST_AFTER - 1]
    compared = {
        **contestants(reader(session.opening, frames), frames),
        "frame to callback, a connection's first 499": cpu(
            lambda: (reader(session.opening), first)
        ),
        "bert.decode": calling(bert.decode, frames),
    }
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError):
            erlang: Any = importlib.import_module("erlang")
            compared["erlang_py"] = calling(erlang.binary_to_term, frames)
        if shutil.which("escript"):
            compared["Erlang's own, in C"] = stack.enter_context(by_erlang(frames))
        measured = take_turns(compared, size.rounds)
    return rows("events", FLOOR, measured)


@contextlib.contextmanager
def by_erlang(frames: Sequence[bytes]) -> Iterator[Callable[[], float]]:
    """Yield a contestant for ``binary_to_term``; Erlang reports its CPU time."""
    script = Path(__file__).with_name("decode.escript")
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"".join(struct.pack(">I", len(frame)) + frame for frame in frames))
        file.flush()
        with subprocess.Popen(
            ["escript", script, file.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="ascii",
        ) as process:

            def measure() -> float:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write("again\n")
                process.stdin.flush()
                return float(process.stdout.readline()) / 1e6

            yield measure


def varied(size: Size, number: int) -> list[Row]:
    """Events of a simulated day, all different, also between rounds."""
    table = []
    count = size.events // 4
    for what, kind in (("channels", "channel"), ("waiting", "channel_waiting"), ("all", None)):
        events = FAST_AFTER + count * (size.rounds + 1)
        session = workload.day(events, seed=number + 1, kind=kind)
        first, rest = session.events[:FAST_AFTER], session.events[FAST_AFTER:]
        rounds = [rest[at : at + count] for at in range(0, len(rest), count)]
        measured = take_turns(contestants(reader(session.opening, first), *rounds), size.rounds)
        table += rows("varied", FLOOR, measured, prefix=f"{what}: ")
    return table


def message_kinds(size: Size, _: int) -> list[Row]:
    """Each kind of message; for an ``initial_info``, the cost of each element."""
    table = []
    count = size.events // 4
    for kind, (session, things) in workload.message_kinds(count).items():
        warm = session.events if kind.startswith("info_event") else ()
        # Repeated until the time can be measured.
        again = -(-count // things)
        compared = contestants(
            reader(session.opening, warm), session.events * again, count=things * again
        )
        measured = take_turns(compared, size.rounds)
        table += rows("message_kinds", FLOOR, measured, prefix=f"{kind}: ", shows_base=False)
    return table


def sizes(size: Size, _: int) -> list[Row]:
    """``initial_info`` with increasing numbers of users, per user."""
    table = []
    for users in size.users:
        spec, info = workload.company(users)
        again = -(-size.events // users)
        compared = contestants(reader([spec]), [info] * again, count=users * again)
        measured = take_turns(compared, size.rounds)
        table += rows("sizes", FLOOR, measured, prefix=f"{users:,} users: ")
    return table
