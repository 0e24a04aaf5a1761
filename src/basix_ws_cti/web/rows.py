"""Rows of the tables of a state document: queues, agents, calls and parked calls.

A row is a dict of JSON values. Times are absolute, in milliseconds since the epoch by the PBX's
clock: a row changes only when something happens, and the page computes durations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from basix_ws_cti._internal.translation import _
from basix_ws_cti.board.labels import Labels
from basix_ws_cti.board.limits import BoardLimits, Level
from basix_ws_cti.board.model import BoardState
from basix_ws_cti.board.parked import parked_calls
from basix_ws_cti.board.queues import QueueState, last_queue
from basix_ws_cti.board.text import cell_text
from basix_ws_cti.board.users import UserState, state_since
from basix_ws_cti.calls import Call, QueueStats
from basix_ws_cti.calls.channel_facts import is_bridged_to_party, other_party
from basix_ws_cti.calls.model import UNKNOWN_PARTY
from basix_ws_cti.elements import Channel
from basix_ws_cti.states import Bridged, Calling, CallingSipTermination, Conference, Park, Ringing

Row = dict[str, Any]
"""Row of a table, JSON-ready."""

# Waiting calls that a queue shows: as many as fit on a TV with one queue.
MAX_WAITERS = 6

# Phases of a call that are sent: the latest of them.
MAX_PHASES = 40


def to_milliseconds(microseconds: int) -> int:
    """Return a time of the PBX in milliseconds."""
    return microseconds // 1000


def to_seconds(microseconds: int | None) -> float | None:
    """Return a duration in seconds, with one decimal; ``None`` for ``None``."""
    return None if microseconds is None else round(microseconds / 1_000_000, 1)


@frozen(eq=False)
class RowBuilder:
    """Builder of the rows of one moment, in the language of the current context."""

    state: BoardState
    """State of this moment."""

    stats: QueueStats
    """Figures of queues and users."""

    labels: Labels
    """Names of people and things."""

    limits: BoardLimits
    """Limits of the figures."""

    members: Mapping[Any, list[Any]]
    """Ids of the groups of each user."""

    with_commands: bool = False
    """True: rows have the ids of the channels that commands need."""

    def queue(
        self, group_id: int | str, queue: QueueState, levels: Mapping[str, Level | None]
    ) -> Row:
        """Return the row of a queue, without its agents."""
        figures = queue.figures
        return {
            "name": cell_text(self.labels.group(group_id)),
            "waiting": queue.waiting,
            "longest_since": to_milliseconds(self.state.now - queue.longest_wait)
            if queue.waiting
            else None,
            "waiters": [*self._waiters(group_id)],
            "offered": figures.offered,
            "answered": figures.answered,
            "abandoned": figures.abandoned,
            "service_level": figures.service_level_of_offered,
            "abandon_rate": figures.abandon_rate,
            "average_answer": to_seconds(figures.average_answer),
            "levels": {name: level for name, level in levels.items() if level is not None},
        }

    def _waiters(self, group_id: Any) -> Iterator[Row]:
        for entered, call_id in self.stats.waiting(group_id)[:MAX_WAITERS]:
            call = self.state.calls.get(call_id)
            name = "" if call is None else cell_text(self.labels.party(call.caller))
            yield {"since": to_milliseconds(entered), "name": name, "call": call_id}

    def agent(self, user: UserState) -> Row:
        """Return the row of a user."""
        shown = user.channels[0] if user.channels else None
        figures = self.stats.user(user.key, self.state.now)  # type: ignore[arg-type]  # as sent
        row: Row = {
            "name": cell_text(self.labels.element(user.user)),
            "extension": cell_text(str(user.user.main_extension or "")),
            "state": "free" if user.is_registered else "offline",
            "with": None,
            "since": None,
            "queues": [str(group) for group in self.members.get(user.key, ())],
            "handled": figures.handled,
            "missed": figures.missed,
            "level": None,
            "call": None,
            "channel": None,
            "other_channel": None,
        }
        if shown is not None:
            since = state_since(shown, self.state.now)
            state = _agent_state(shown)
            row["state"] = state
            row["with"] = self._other_end(shown)
            row["since"] = to_milliseconds(since)
            row["call"] = self.state.call_of_leg.get(str(shown.uuid))
            if state == "talking":
                row["level"] = self.limits.talk.level(self.state.now - since)
            if self.with_commands:
                other = self.labels.mirror.other_leg(shown)
                row["channel"] = str(shown.uuid)
                row["other_channel"] = None if other is None else str(other.uuid)
        return row

    def _other_end(self, channel: Channel) -> str | None:
        if isinstance(channel.state, Bridged | Ringing | Calling):
            other = other_party(channel)
            if other == UNKNOWN_PARTY:
                return None
            return cell_text(self.labels.short_party(other))
        return cell_text(self.labels.activity(channel)) or None

    def call(self, call: Call) -> Row:
        """Return the row of a call."""
        phase = call.phase
        called = call.answered_by or phase.party
        if called == UNKNOWN_PARTY:
            called = call.requested
        queue = last_queue(call)
        return {
            "direction": call.direction,
            "caller": cell_text(self.labels.party(call.caller)),
            "with": "" if called == UNKNOWN_PARTY else cell_text(self.labels.party(called)),
            "queue": None if queue is None else str(queue),
            "called": cell_text(self.labels.called_number(call)),
            "started": to_milliseconds(call.started),
            "phases": [
                {
                    "kind": one.kind,
                    "started": to_milliseconds(one.started),
                    "ended": None if one.ended is None else to_milliseconds(one.ended),
                    "text": cell_text(self.labels.phase(one) or _("unknown")),
                }
                for one in call.phases[-MAX_PHASES:]
            ],
            "level": self._call_level(call),
            "channel": self._caller_channel(call) if self.with_commands else None,
        }

    def _call_level(self, call: Call) -> Level | None:
        elapsed = self.state.now - call.phase.started
        if call.phase.kind == "queued":
            return self.limits.wait.level(elapsed)
        if call.phase.kind == "talking":
            return self.limits.talk.level(elapsed)
        if call.phase.kind == "parked":
            return self.limits.parked.level(elapsed)
        return None

    @staticmethod
    def _caller_channel(call: Call) -> str | None:
        living = [leg for leg in call.legs if leg.ended is None]
        of_caller = [leg for leg in living if leg.party == call.caller]
        return next((leg.uuid for leg in of_caller or living), None)

    def parked(self) -> Iterator[tuple[str, Row, Any]]:
        """Yield key and row of each parked call, and the id of the user who parked it."""
        for parked in parked_calls(self.labels, self.state.now):
            row = {
                "slot": str(parked.state.slot),
                "caller": cell_text(parked.caller),
                "by": cell_text(parked.parked_by),
                "since": to_milliseconds(parked.since),
                "level": self.limits.parked.level(self.state.now - parked.since),
                "call": self.state.call_of_leg.get(parked.key),
                "channel": parked.key if self.with_commands else None,
            }
            yield parked.key, row, parked.state.parker_id


def _agent_state(channel: Channel) -> str:
    match channel.state:
        case Bridged():
            return "talking" if is_bridged_to_party(channel) else "held"
        case Conference():
            return "talking"
        case Ringing():
            return "ringing"
        case Calling() | CallingSipTermination():
            return "calling"
        case Park():
            return "parked"
    return "other"
