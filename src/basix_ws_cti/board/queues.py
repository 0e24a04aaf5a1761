"""Queues at one moment: waiting calls, and figures of the calls that were counted."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Self

from attrs import frozen

from basix_ws_cti.calls import Call, QueueFigures, QueueStats
from basix_ws_cti.elements import AnyChannel
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.states import Calling, Park

from .users import state_since, valid_id


@frozen
class QueueState:
    """Queue of one group."""

    waiting: int
    """Number of calls that wait now."""

    longest_wait: int
    """Longest of these waits, in microseconds; 0 if no call waits."""

    figures: QueueFigures
    """Figures of the calls that were counted."""


def queue_states(
    mirror: Mirror, stats: QueueStats, legs: Container[str], now: int
) -> dict[int | str, QueueState]:
    """Return the queue of each group, by the group's id.

    ``legs`` are the uuids of the legs of all calls, which ``stats`` counts. A connection that is
    limited to one user receives the queued channels of other calls, too; they count as well, from
    the start of their state. ``now`` is in microseconds.
    """
    others: dict[int | str, list[int]] = {}
    for channel in waiting_channels(mirror):
        group_id = valid_id(getattr(channel.state, "group_id", None))
        if isinstance(channel.state, Calling) and group_id is not None:
            times = others.setdefault(group_id, [])
            if str(channel.key) not in legs:
                times.append(now - state_since(channel, now))
    states = {}
    for group_id in dict.fromkeys((*mirror.groups, *others, *sorted(stats.groups))):
        figures = stats.group(group_id, now)  # type: ignore[arg-type]  # an id as the PBX sent it
        waits = others.get(group_id, [])
        longest = max((figures.longest_wait or 0, *waits))
        states[group_id] = QueueState(figures.waiting + len(waits), longest, figures)
    return states


def waiting_channels(mirror: Mirror) -> Iterable[AnyChannel]:
    """Return each channel that is queued or parked, once, whatever its kind of element.

    Older and newer servers use different kinds. A connection that is limited to one user's
    channels receives these kinds for every queued or parked channel of the PBX.
    """
    found: dict[str, AnyChannel] = {}
    for channels in (
        mirror.queued_channels,
        mirror.parked_channels,
        mirror.waiting_channels,
        mirror.channels,
    ):
        for channel in channels.values():
            state = channel.state
            is_queued = isinstance(state, Calling) and state.target_type == "group"
            if is_queued or isinstance(state, Park):
                found[str(channel.key)] = channel
    return found.values()


def last_queue(call: Call) -> int | None:
    """Return the id of the group that a call waited for last; ``None`` if it waited for none."""
    for phase in reversed(call.phases):
        if phase.kind == "queued" and phase.party.group_id is not None:
            return phase.party.group_id
    return None


@frozen
class QueueTotals:
    """Sums over the queues of all groups, by the definitions of ``QueueFigures``."""

    waiting: int
    """Number of calls that wait now."""

    longest_wait: int
    """Longest of these waits, in microseconds; 0 if no call waits."""

    offered: int
    """Number of waits that were counted."""

    answered: int
    """Number of waits that ended with an answer."""

    abandoned: int
    """Number of waits that the caller ended by hanging up."""

    abandon_rate: float | None
    """``abandoned`` divided by the waits that ended: 0 to 1; ``None`` if none ended."""

    service_level: float | None
    """Answered within the threshold, divided by the waits that ended: 0 to 1; ``None`` if none
    ended."""

    average_answer: int | None
    """Average speed of answer (ASA), in microseconds; ``None`` if none was answered."""

    @classmethod
    def of(cls, states: Mapping[int | str, QueueState]) -> Self:
        """Return the sums over queues."""
        figures = [state.figures for state in states.values()]
        answered = sum(one.answered for one in figures)
        abandoned = sum(one.abandoned for one in figures)
        finished = sum(map(_finished, figures))
        # A rate times its divisor is the number that it was computed from.
        in_time = sum(
            round((one.service_level_of_offered or 0) * _finished(one)) for one in figures
        )
        waited = sum((one.average_answer or 0) * one.answered for one in figures)
        return cls(
            waiting=sum(state.waiting for state in states.values()),
            longest_wait=max((state.longest_wait for state in states.values()), default=0),
            offered=sum(one.offered for one in figures),
            answered=answered,
            abandoned=abandoned,
            abandon_rate=abandoned / finished if finished else None,
            service_level=in_time / finished if finished else None,
            average_answer=waited // answered if answered else None,
        )


def _finished(figures: QueueFigures) -> int:
    """Return the number of waits that ended."""
    return (
        figures.answered
        + figures.abandoned
        + figures.overflowed_out
        + figures.voicemail
        + figures.ended
        + figures.unknown
    )
