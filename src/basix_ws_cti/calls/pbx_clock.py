"""Estimate of the PBX's clock, which may differ from the clock of this machine.

Durations are differences between the PBX's timestamps and its present time, which the feed does
not contain. A timestamp is never later than the present, so each one is a lower bound:

    PBX's time >= timestamp,  offset = PBX's time - our time >= timestamp - our time

An event arrives milliseconds after it happened. For the timestamp of an event that was just
observed, the bound is therefore close to the offset itself, and the largest of several bounds is
the best estimate. The timestamps of a snapshot may be hours old. Without an observed event they
are used only where the clocks are sure to differ: a timestamp in the future, or a PBX whose newest
timestamp is older than ``MAX_QUIET``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from attrs import Factory, define

from basix_ws_cti.elements import AnyChannel, FullChannel
from basix_ws_cti.mirror.mirror import Mirror

from .events import CallEnded, CallEvent
from .model import Call

_SECOND = 1_000_000  # in microseconds, as all times here
_DAY = 24 * 3600 * _SECOND

# A PBX's clock that seems to be this little behind is not: events take that long to arrive.
_MAX_DELAY = 2 * _SECOND

MAX_AHEAD = 366 * 24 * 3600 * _SECOND
"""A timestamp that is further ahead is no time, but some other number."""

# A channel may be stuck for days, but hardly as the newest of a PBX for a week.
MAX_QUIET = 7 * 24 * 3600 * _SECOND

# Observed events from which the offset is estimated. The oldest are forgotten, so that the estimate
# follows a clock that is set, or that runs faster, as a simulator's does.
_OBSERVATIONS = 64


@define
class PbxClock:
    """Estimator of the PBX's time. All times are in microseconds since the epoch."""

    _offsets: deque[int] = Factory(lambda: deque(maxlen=_OBSERVATIONS))
    # Start of the current phase of each ongoing call.
    _phases: dict[str, int] = Factory(dict)

    @property
    def has_observations(self) -> bool:
        """True once the estimate rests on an event that was just observed."""
        return bool(self._offsets)

    def observe(self, event: CallEvent, now: int, *, is_recent: bool = True) -> None:
        """Use a call event that arrived at ``now``, by this machine's clock.

        - ``is_recent``: it has just happened. Otherwise, as for the events that lead to a snapshot,
          its timestamp is not used, and does not count as new in a later event either.

        The first event of a call is not used: the call may have begun long ago.
        """
        call = event.call
        known = self._phases.get(call.id)
        if isinstance(event, CallEnded):
            self._phases.pop(call.id, None)
            at = None if event.synthetic else call.ended
        else:
            self._phases[call.id] = at = call.phase.started
        if is_recent and known is not None and at is not None and at != known:
            self._offsets.append(at - now)

    def offset(self, mirror: Mirror, calls: Iterable[Call], now: int) -> int:
        """Return the PBX's time minus ``now``; 0 as long as no difference is known."""
        times = (*_timestamps(mirror), *(call.phase.started for call in calls))
        return self.offset_from(times, now)

    def offset_from(self, times: Iterable[int], now: int) -> int:
        """Return the PBX's time minus ``now``, from timestamps of the PBX and observed events."""
        bounds = [time - now for time in times if time - now <= MAX_AHEAD]
        offset = max((*bounds, *self._offsets), default=0)
        longest_delay = _MAX_DELAY if self._offsets else MAX_QUIET
        return 0 if -longest_delay <= offset <= 0 else offset


def _timestamps(mirror: Mirror) -> Iterable[int]:
    """Yield the timestamps of all channels."""
    kinds = (
        mirror.channels,
        mirror.waiting_channels,
        mirror.queued_channels,
        mirror.parked_channels,
    )
    for channels in kinds:
        for channel in channels.values():
            yield from _timestamps_of(channel)


def _timestamps_of(channel: AnyChannel) -> Iterable[int]:
    values: list[object] = [getattr(channel.state, "ts", None)]
    if isinstance(channel, FullChannel):
        values += (channel.offer_timestamp, channel.answer_timestamp, channel.hangup_timestamp)
    return [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
