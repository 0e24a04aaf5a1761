"""Scenarios of transfers, consult calls, parking and pickups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .company import DID
from .scenario_parts import (
    available_user,
    menu,
    other_person,
    park_and_retrieve,
    queue,
    random_caller,
    random_group,
    ringing_leg,
    talk,
    user_leg,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .model import Channel
    from .pbx import Pbx

    Scenario = Iterator[float]


def parked(pbx: Pbx) -> Scenario:
    """A call is parked, and another user retrieves it."""
    lead = yield from menu(pbx)
    if (yield from queue(pbx, lead, random_group(pbx))) is None:
        return
    yield pbx.random.uniform(3, 10)
    yield from park_and_retrieve(pbx, lead)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def picked_up(pbx: Pbx) -> Scenario:
    """A phone rings, and a colleague picks the call up from another phone."""
    lead = pbx.receive(random_caller(pbx), DID)
    ringing = pbx.call_user(lead, available_user(pbx))
    yield pbx.random.uniform(3, 8)
    leg = pbx.receive(available_user(pbx), f"pickup_uuid.{ringing.uuid}")
    pbx.set_state(leg, "system_operation", operation="pickup")
    yield 0.3
    pbx.pick_up(leg, lead)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def blind_transfer(pbx: Pbx) -> Scenario:
    """A user makes a blind transfer to a colleague."""
    lead = yield from talk(pbx)
    leg = pbx.transfer(lead, available_user(pbx))[0]
    yield pbx.random.uniform(2, 8)
    pbx.connect(leg)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def returned_to_queue(pbx: Pbx) -> Scenario:
    """A user puts a caller back into the queue from which they came; a member answers."""
    lead = yield from menu(pbx)
    group = random_group(pbx)
    if (yield from queue(pbx, lead, group)) is None:
        return
    yield pbx.random.uniform(5, 30)
    legs = pbx.transfer(lead, group)
    yield pbx.random.uniform(2, 10)
    pbx.connect(ringing_leg(pbx, legs))
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def transferred_and_abandoned(pbx: Pbx) -> Scenario:
    """A user transfers a caller into a queue, and the caller abandons the call there."""
    lead = yield from talk(pbx)
    pbx.transfer(lead, random_group(pbx))
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def transferred_outside(pbx: Pbx) -> Scenario:
    """A user transfers a caller to somebody outside, who answers or does not."""
    lead = yield from talk(pbx)
    leg = pbx.transfer(lead, other_person(pbx, lead.person))[0]
    yield pbx.random.uniform(4, 12)
    if pbx.random.random() < 0.7:
        pbx.connect(leg)
        yield pbx.random.uniform(10, 60)
        pbx.hang_up(pbx.random.choice((lead, leg)))
    else:
        pbx.hang_up(leg, "NO_ANSWER", by_peer=False)


def abandoned_while_parked(pbx: Pbx) -> Scenario:
    """A caller hangs up on a park slot."""
    lead = yield from talk(pbx)
    pbx.park(lead)
    yield pbx.random.uniform(10, 60)
    pbx.hang_up(lead)


def pickup_without_call(pbx: Pbx) -> Scenario:
    """A user tries to pick up or to retrieve a call that is not there; the PBX refuses."""
    user = available_user(pbx)
    if pbx.random.random() < 0.5:
        leg = pbx.receive(user, f"pickup_uuid.{pbx.new_uuid()}")
        pbx.set_state(leg, "system_operation", operation="pickup")
    else:
        leg = pbx.receive(user, str(pbx.free_slot(user)))
        pbx.set_state(leg, "system_operation", operation="unpark")
    yield pbx.random.uniform(0.2, 0.5)
    pbx.hang_up(leg, "NO_PICKUP", by_peer=False)


def attended_transfer(pbx: Pbx) -> Scenario:
    """A user makes a consult call to a colleague, and then transfers the first call to them."""
    lead = yield from talk(pbx)
    _, consulted = _consult(pbx, lead)
    yield pbx.random.uniform(2, 5)
    pbx.connect(consulted)
    yield pbx.random.uniform(3, 10)
    pbx.attended_transfer(lead, consulted)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def semi_attended_transfer(pbx: Pbx) -> Scenario:
    """A user transfers a caller to a colleague whose phone still rings for the consult call."""
    lead = yield from talk(pbx)
    _, consulted = _consult(pbx, lead)
    yield pbx.random.uniform(2, 5)
    pbx.semi_attended_transfer(lead, consulted)
    yield pbx.random.uniform(2, 8)
    if pbx.random.random() < 0.7:
        pbx.connect(consulted)
        yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def consult_returned(pbx: Pbx) -> Scenario:
    """A user asks a colleague, who answers or is busy, and returns to the caller."""
    lead = yield from talk(pbx)
    consulting, consulted = _consult(pbx, lead)
    yield pbx.random.uniform(2, 5)
    if pbx.random.random() < 0.7:
        pbx.connect(consulted)
        yield pbx.random.uniform(3, 10)
        pbx.hang_up(pbx.random.choice((consulting, consulted)))
    else:
        pbx.hang_up(consulted, "USER_BUSY")
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def consult_in_queue(pbx: Pbx) -> Scenario:
    """A user makes a consult call into a queue, and transfers, returns, or gives up there.

    The user may transfer while the phones ring.
    """
    lead = yield from talk(pbx)
    _, user = user_leg(pbx, lead)
    group = random_group(pbx)
    consulting = pbx.receive(user, group.main_extension)
    legs = pbx.call_group(consulting, group)
    yield pbx.random.uniform(2, 15)
    ending = pbx.random.choice(("transfer", "return", "give up", "transfer while ringing"))
    if ending == "transfer while ringing":
        ringing = ringing_leg(pbx, legs)
        for other in pbx.ringing_for(consulting):
            if other is not ringing:
                pbx.stop_ringing(other)
        pbx.semi_attended_transfer(lead, ringing)
        yield pbx.random.uniform(2, 8)
        pbx.connect(ringing)
    elif ending != "give up":
        consulted = ringing_leg(pbx, legs)
        pbx.connect(consulted)
        yield pbx.random.uniform(3, 10)
    if ending == "transfer":
        pbx.attended_transfer(lead, consulted)
    elif ending != "transfer while ringing":
        pbx.hang_up(consulting)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def older_consult(pbx: Pbx) -> Scenario:
    """A user who talks to a colleague answers a caller on a second line, and connects them."""
    user = available_user(pbx)
    colleague = available_user(pbx, other_than=user)
    line = pbx.receive(user, colleague.main_extension)
    consulted = pbx.call_user(line, colleague)
    yield pbx.random.uniform(2, 5)
    pbx.connect(consulted)
    yield pbx.random.uniform(5, 20)
    lead = pbx.receive(random_caller(pbx), DID)
    leg = pbx.call_user(lead, user)
    yield pbx.random.uniform(2, 5)
    pbx.connect(leg)
    yield pbx.random.uniform(5, 20)
    pbx.attended_transfer(lead, consulted)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def _consult(pbx: Pbx, lead: Channel) -> tuple[Channel, Channel]:
    """Let the user whom a caller talks to call a colleague; return both legs of that call."""
    _, user = user_leg(pbx, lead)
    colleague = available_user(pbx)
    consulting = pbx.receive(user, colleague.main_extension)
    return consulting, pbx.call_user(consulting, colleague)
