"""Scenarios for the simulated PBX: typical calls, from the first ring to the last hangup.

A scenario is a generator. It picks available users at random, operates on the PBX, and yields
the number of seconds until its next step; ``timeline`` runs it. If nobody is available it
raises ``NotPossibleError``. ``day`` starts scenarios for ever, mixed as in a call centre.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import inbound_scenarios as inbound
from . import transfer_scenarios as transfers
from . import user_scenarios as by_users
from .inbound_scenarios import MAX_CALL_DURATION
from .model import SECOND
from .scenario_parts import CALLERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .pbx import Pbx
    from .timeline import Timeline

    Scenario = Iterator[float]
    ScenarioFunction = Callable[[Pbx], Scenario]

__all__ = ["CALLERS", "SCENARIOS", "STAFF", "day", "populate"]

STAFF = ("佐藤 健", "鈴木 花子", "高橋 一郎", "Maria Silva", "田中 美咲")
_SURNAMES = ("小林", "加藤", "吉田", "山本", "中村", "松本", "井上", "木村", "林", "清水")
_NAMES = ("翔太", "美穂", "大輔", "由美", "直樹", "陽子", "誠", "恵子", "Ana", "Ken")
_GROUPS = ("サポート", "営業部", "経理", "Export", "コールセンター")


def populate(pbx: Pbx, users: int = len(STAFF)) -> None:
    """Add users with phones, in groups of ten; every fourth group is a hunt group."""
    labels = [*STAFF, *(f"{s} {n}" for s in _SURNAMES for n in _NAMES)]
    group = None
    for number in range(users):
        if group is None or number % 10 == 0:
            index = number // 10
            label = _GROUPS[index % len(_GROUPS)]
            group = pbx.create_group(
                label if index < len(_GROUPS) else f"{label} {index}", hunt=index % 4 == 3
            )
        label = labels[number % len(labels)]
        pbx.add_member(pbx.add_user(label if number < len(labels) else f"{label} {number}"), group)


# Weight of each scenario in a day; the sum is about one hundred and twenty.
_MIX: dict[ScenarioFunction, int] = {
    inbound.inbound_call: 24,
    inbound.hunt: 4,
    inbound.abandoned: 6,
    inbound.voicemail: 4,
    inbound.direct_call: 8,
    inbound.abandoned_ringing: 3,
    inbound.no_answer: 2,
    inbound.after_hours: 2,
    inbound.maximum_duration: 1,
    inbound.ring_rounds: 1,
    inbound.overflow: 1,
    inbound.announcement: 1,
    inbound.callback: 1,
    inbound.two_phones_ring: 1,
    inbound.closed: 1,
    inbound.short_voicemail: 1,
    inbound.not_routed: 1,
    inbound.forwarded: 1,
    transfers.parked: 5,
    transfers.picked_up: 3,
    transfers.blind_transfer: 3,
    transfers.returned_to_queue: 1,
    transfers.transferred_and_abandoned: 1,
    transfers.transferred_outside: 1,
    transfers.abandoned_while_parked: 1,
    transfers.pickup_without_call: 1,
    transfers.attended_transfer: 3,
    transfers.semi_attended_transfer: 1,
    transfers.consult_returned: 1,
    transfers.consult_in_queue: 1,
    transfers.older_consult: 1,
    by_users.internal_call: 6,
    by_users.outbound_call: 8,
    by_users.busy: 2,
    by_users.rejected: 2,
    by_users.unreachable: 1,
    by_users.click_to_call: 3,
    by_users.click_to_call_endpoints: 1,
    by_users.queue_call: 1,
    by_users.checking_voicemail: 2,
    by_users.conference: 1,
    by_users.conference_call: 1,
    by_users.eavesdrop: 1,
    by_users.directory_changes: 6,
}

SCENARIOS = {function.__name__: function for function in _MIX}
"""All scenarios by name."""


def day(pbx: Pbx, timeline: Timeline, rate: float) -> Scenario:
    """Start ``rate`` scenarios per minute of PBX time, for ever."""
    functions, weights = list(_MIX), list(_MIX.values())
    long_call_until = pbx.now
    while True:
        function = pbx.random.choices(functions, weights)[0]
        if function is inbound.maximum_duration:
            # One at a time: such calls last for hours, and would soon occupy all users.
            if pbx.now < long_call_until:
                function = inbound.inbound_call
            else:
                long_call_until = pbx.now + MAX_CALL_DURATION * SECOND
        timeline.start(function(pbx))
        yield pbx.random.expovariate(rate / 60)
