"""Mirror and call tracker: cost of each event, growth of costs, and memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from unittest.mock import patch

import workload
from measure import Row, Size, apart, calling, cpu, rows, take_turns
from parsing import FLOOR, floor

from basix_ws_cti import InitialInfo, MessageParser, Mirror, to_dict
from basix_ws_cti.calls import CallTracker
from basix_ws_cti.messages import Message
from basix_ws_cti.mirror.interning import Interner
from basix_ws_cti.terms import decode


def parsed(session: workload.Session) -> tuple[list[Message], list[Message]]:
    """Return the initial messages of a session, and its events."""
    parser = MessageParser()
    return (
        [parser.parse(frame) for frame in session.opening],
        [parser.parse(frame) for frame in session.events],
    )


def mirror_of(messages: Iterable[Message]) -> Mirror:
    """Return a mirror that has applied the messages."""
    mirror = Mirror()
    for message in messages:
        mirror.apply(message)
    return mirror


def applying(before: Sequence[Message], messages: Sequence[Message]) -> Callable[[], float]:
    """Return a contestant that applies messages to a mirror after those in ``before``."""
    return cpu(lambda: (mirror_of(before).apply, messages))


def tracking(before: Sequence[Message], messages: Sequence[Message]) -> Callable[[], float]:
    """Return a contestant that applies the changes of messages to a call tracker."""
    mirror = mirror_of(before)
    channels = [*mirror.channels.values()]
    changes = [mirror.apply(message) for message in messages]
    return cpu(lambda: (CallTracker(channels).apply, changes))


def keeping(size: Size, number: int) -> list[Row]:
    """``Mirror`` and ``CallTracker``, for each event of a day that has been parsed."""
    session = workload.day(size.events, seed=number + 1)
    compared = {
        FLOOR: floor(session.events),
        "Mirror.apply": applying(*parsed(session)),
        "CallTracker.apply": tracking(*parsed(session)),
    }
    return rows("keeping", FLOOR, take_turns(compared, size.rounds))


# -- growth: cost per element or channel, for n of them --------------------------------------


def decode_users(count: int) -> Callable[[], float]:
    _, info = workload.company(count)
    return calling(decode, [info], count=count)


def parse_users(count: int) -> Callable[[], float]:
    spec, info = workload.company(count)
    parser = MessageParser()
    parser.parse(spec)
    return calling(parser.parse, [info], count=count)


def keep_users(count: int) -> Callable[[], float]:
    before, _ = parsed(workload.Session(workload.company(count), []))
    return cpu(lambda: (Mirror().apply, before), count)


def replace_with_users(count: int) -> Callable[[], float]:
    before, _ = parsed(workload.Session(workload.company(count), []))
    return cpu(lambda: (Mirror().replace_with, [mirror_of(before)]), count)


COSTS = {
    "decode of users": decode_users,
    "MessageParser.parse of users": parse_users,
    "Mirror.apply of users": keep_users,
    "Mirror.replace_with of users": replace_with_users,
    "Mirror.apply of channels that come and go": lambda n: applying(*parsed(workload.rush(n))),
    "CallTracker.apply of channels that come and go": lambda n: tracking(*parsed(workload.rush(n))),
}


def growth(size: Size, _: int) -> list[Row]:
    """Cost per item for n, 2 n and 4 n items, as multiples of the cost for n."""
    table = []
    counts = [size.growing, size.growing * 2, size.growing * 4]
    for cost, contestant in COSTS.items():
        compared = {f"{count:,}": contestant(count) for count in counts}
        measured = take_turns(compared, size.rounds)
        table += rows("growth", f"{counts[0]:,}", measured, prefix=f"{cost}: ")
    return table


# -- memory ------------------------------------------------------------------------------------


def dicts_of(info: InitialInfo) -> Mapping[Any, Any]:
    """Return the elements as plain dicts."""
    return {key: to_dict(one) for key, one in info.elements.items()}


def kept_of(info: InitialInfo) -> Mapping[Any, Any]:
    """Return the elements as a mirror holds them."""
    return mirror_of([info])[info.element_name]


def not_interned_of(info: InitialInfo) -> Mapping[Any, Any]:
    """Return the elements as a mirror without interning would hold them."""
    with patch.object(Interner, "intern", lambda *_: None):
        return kept_of(info)


HOLDERS: dict[str, Callable[[InitialInfo], Mapping[Any, Any]]] = {
    "dicts": dicts_of,
    "mirror": kept_of,
    "mirror, texts not interned": not_interned_of,
}


def weigh(name: str, specs: list[bytes], infos: list[bytes]) -> list[tuple[int, int]]:
    """Return the bytes that a holder's elements of each frame take, and their number."""
    parser = MessageParser()
    for frame in specs:
        parser.parse(frame)
    held: list[Mapping[Any, Any]] = []
    weights: list[int] = []
    gc.collect()
    tracemalloc.start()
    for frame in infos:
        message = parser.parse(frame)
        assert isinstance(message, InitialInfo)
        held.append(HOLDERS[name](message))
        del message
        gc.collect()
        weights.append(tracemalloc.get_traced_memory()[0] - sum(weights))
    return [(weight, len(one)) for weight, one in zip(weights, held, strict=True)]


def memory(size: Size, _: int) -> list[Row]:
    """Memory of a mirror per element, as a multiple of plain dicts of the same elements.

    Each is read from the same frames in a separate process, so that they share no texts. A text
    that occurs several times within one of them counts once if it is interned.
    """
    users, calls = size.held
    frames = workload.company(users, calls, ("user", "channel"))
    weighed = {name: apart(weigh, name, frames[:2], frames[2:]) for name in HOLDERS}
    table = []
    for what, parts in (
        (f"{users:,} users", (0,)),
        (f"{calls * 2:,} channels", (1,)),
        ("both", (0, 1)),
    ):
        measured = {}
        for name, kinds in weighed.items():
            count = sum(kinds[part][1] for part in parts)
            measured[name] = [sum(kinds[part][0] for part in parts) / count]
        table += rows("memory", "dicts", measured, prefix=f"{what}: ", unit="B", scale=1)
    return table
