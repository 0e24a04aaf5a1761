"""The mirror and the calls: what each event costs them, and how the main costs grow."""

from __future__ import annotations

import marshal
import math
from collections.abc import Callable, Sequence

import workload
from measure import Row, Size, calling, cpu_seconds, rows_against, take_turns
from parsing import FLOOR, floor

from basix_ws_cti import MessageParser, Mirror
from basix_ws_cti.calls import CallTracker
from basix_ws_cti.messages import Message
from basix_ws_cti.terms import decode

Prepare = Callable[[], Callable[[], object]]

# What the growth of a cost is measured in: the exponent k of n to the power of k.
EXPONENT = "exponent"


def parsed(session: workload.Session) -> tuple[list[Message], list[Message]]:
    """The messages of a session, those that it begins with apart."""
    parser = MessageParser()
    return (
        [parser.parse(frame) for frame in session.opening],
        [parser.parse(frame) for frame in session.events],
    )


def mirror_of(messages: Sequence[Message]) -> Mirror:
    """A mirror that has seen these."""
    mirror = Mirror()
    for message in messages:
        mirror.apply(message)
    return mirror


def applying(before: Sequence[Message], messages: Sequence[Message]) -> Prepare:
    """Messages for a mirror that knows what was before."""

    def prepare() -> Callable[[], object]:
        apply = mirror_of(before).apply
        return lambda: [None for message in messages if apply(message) is None]

    return prepare


def tracking(before: Sequence[Message], messages: Sequence[Message]) -> Prepare:
    """The changes of these messages for a tracker that knows what was before."""
    mirror = mirror_of(before)
    channels = [*mirror.channels.values()]
    changes = [mirror.apply(message) for message in messages]

    def prepare() -> Callable[[], object]:
        apply = CallTracker(channels).apply
        return lambda: [None for some in changes if apply(some) is None]

    return prepare


def events(size: Size, number: int) -> list[Row]:
    """``Mirror`` and ``CallTracker``, for each event of a simulated day that is parsed already."""
    session = workload.day(size.events, seed=number + 1)
    before, messages = parsed(session)
    measured = take_turns(
        {
            FLOOR: calling((marshal.loads, floor(session.events))),
            "Mirror.apply": cpu_seconds(applying(before, messages)),
            "CallTracker.apply": cpu_seconds(tracking(before, messages)),
        },
        size.rounds,
    )
    return rows_against(FLOOR, measured, group="keeping", count=len(messages))


def growth(size: Size, _: int) -> list[Row]:
    """The main costs for n/4, n/2 and n: an exponent of 1 is growth in proportion."""
    rows = []
    counts = [size.growing, size.growing * 2, size.growing * 4]
    for name, cost in COSTS.items():
        measured = take_turns(
            {str(count): cpu_seconds(cost(count)) for count in counts}, size.rounds
        )
        rounds = list(zip(*measured.values(), strict=True))
        rows.append(
            Row(
                group="growth",
                name=f"{name}, n = {counts[-1]:,}",
                unit="ms",
                values=[last * 1e3 for *_, last in rounds],
                figures=[slope(counts, seconds) for seconds in rounds],
                base=EXPONENT,
                cpu=sum(map(sum, rounds)),
            )
        )
    return rows


def slope(counts: Sequence[int], seconds: Sequence[float]) -> float:
    """The exponent that fits best: least squares of the logarithms."""
    xs, ys = [math.log(one) for one in counts], [math.log(one) for one in seconds]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    across = sum((one - x) * (other - y) for one, other in zip(xs, ys, strict=True))
    return across / sum((one - x) ** 2 for one in xs)


# -- costs: what is prepared for n, of which the rest is measured -------------------------------


def decode_users(count: int) -> Prepare:
    _, info = workload.company(count)
    return lambda: lambda: decode(info)


def parse_users(count: int) -> Prepare:
    spec, info = workload.company(count)
    parser = MessageParser()
    parser.parse(spec)
    return lambda: lambda: parser.parse(info)


def keep_users(count: int) -> Prepare:
    before, _ = parsed(workload.Session(workload.company(count), []))
    return applying([], before)


def become_users(count: int) -> Prepare:
    before, _ = parsed(workload.Session(workload.company(count), []))

    def prepare() -> Callable[[], object]:
        old, new = Mirror(), mirror_of(before)
        return lambda: old.become(new)

    return prepare


def keep_channels(count: int) -> Prepare:
    return applying(*parsed(workload.rush(count)))


def track_calls(count: int) -> Prepare:
    return tracking(*parsed(workload.rush(count)))


COSTS = {
    "decode of n users": decode_users,
    "parse of n users": parse_users,
    "Mirror.apply of n users": keep_users,
    "Mirror.become with n users": become_users,
    "Mirror.apply of n channels that come and go": keep_channels,
    "CallTracker.apply of n channels that come and go": track_calls,
}
