"""Decoding, and the whole way from a frame to the callback, in multiples of ``marshal.loads``.

``marshal`` makes the same objects from CPython's own format, in C: the floor.
"""

from __future__ import annotations

import marshal
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import bert
import erlang
import workload
from measure import Row, Size, calling, rows_against, take_turns

from basix_ws_cti import MessageParser
from basix_ws_cti.terms import decode

FLOOR = "marshal.loads"


def reader(opening: Sequence[bytes]) -> MessageParser:
    """A parser with callbacks, which has read what comes first."""

    def called(*_: object) -> None:
        pass

    parser = MessageParser(
        on_initial_info=called, on_info_event=called, on_system_msg=called, on_msg=called
    )
    for frame in opening:
        parser.handle_message(frame)
    return parser


def floor(frames: Sequence[bytes]) -> list[bytes]:
    """The same terms in marshal's format."""
    return [marshal.dumps(decode(frame)) for frame in frames]


def contestants(
    opening: Sequence[bytes], frames: Sequence[bytes]
) -> dict[str, Callable[[], float]]:
    """The floor, and ours."""
    return {
        FLOOR: calling((marshal.loads, floor(frames))),
        "decode": calling((decode, frames)),
        "frame to callback": calling((reader(opening).handle_message, frames)),
    }


def events(size: Size, _: int) -> list[Row]:
    """Channel events, 534 bytes each: the headline, and others who read them."""
    session = workload.bench(size.events)
    with ExitStack() as stack:
        compared = {
            **contestants(session.opening, session.events),
            "bert.decode": calling((bert.decode, session.events)),
            "erlang_py": calling((erlang.binary_to_term, session.events)),
        }
        if shutil.which("escript"):
            compared["Erlang's own, in C"] = stack.enter_context(by_erlang(session.events))
        measured = take_turns(compared, size.rounds)
    return rows_against(FLOOR, measured, group="events", count=len(session.events))


@contextmanager
def by_erlang(frames: Sequence[bytes]) -> Iterator[Callable[[], float]]:
    """A contestant: ``binary_to_term``, timed by Erlang itself."""
    script = Path(__file__).with_name("decode.escript")
    with tempfile.NamedTemporaryFile() as file:
        file.write(workload.pack(frames))
        file.flush()
        with subprocess.Popen(
            ["escript", script, file.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="ascii",
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            stdin, stdout = process.stdin, process.stdout

            def measure() -> float:
                stdin.write("again\n")
                stdin.flush()
                return int(stdout.readline()) / 1e6

            measure()
            yield measure
            stdin.close()


def varied(size: Size, number: int) -> list[Row]:
    """Events of a simulated day, none of which comes twice, in this round or any other."""
    rows = []
    count = size.events // 4
    for name, kinds in (("channels", ("channel",)), ("all kinds", ())):
        session = workload.day(count * size.rounds, seed=number + 1, kinds=kinds)
        parts = [session.events[at : at + count] for at in range(0, len(session.events), count)]
        rounds = [contestants(session.opening, part) for part in parts]
        turns = {what: one_after_another([one[what] for one in rounds]) for what in rounds[0]}
        measured = take_turns(turns, size.rounds)
        rows += rows_against(FLOOR, measured, group="varied", count=count, prefix=f"{name}: ")
    return rows


def one_after_another(rounds: Sequence[Callable[[], float]]) -> Callable[[], float]:
    """A contestant that is another one in each round."""
    each = iter(rounds)

    def measure() -> float:
        return next(each)()

    return measure


def sorts(size: Size, _: int) -> list[Row]:
    """Each sort of message, as the sessions have it that the conformance tests read."""
    rows = []
    for sort, parts in workload.corpus().items():
        frames = [frame for _, some in parts for frame in some]
        # The small ones often enough to be measured, the large ones not for ever.
        again = max(1, size.events // len(frames))
        readers = [(reader(specs).handle_message, some) for specs, some in parts]
        measured = take_turns(
            {
                FLOOR: calling(*[(marshal.loads, floor(frames))] * again),
                "decode": calling(*[(decode, frames)] * again),
                "frame to callback": calling(*readers * again),
            },
            size.rounds,
        )
        rows += rows_against(
            FLOOR,
            measured,
            group="sorts",
            count=len(frames) * again,
            prefix=f"{sort}: ",
            shows_base=False,
        )
    return rows


def sizes(size: Size, _: int) -> list[Row]:
    """``initial_info`` of more and more users, for each user."""
    rows = []
    for users in size.users:
        spec, info = workload.company(users)
        again = max(1, size.events // users)
        measured = take_turns(contestants([spec], [info] * again), size.rounds)
        rows += rows_against(
            FLOOR, measured, group="sizes", count=users * again, prefix=f"{users:,} users: "
        )
    return rows
