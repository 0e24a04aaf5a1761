"""Scenarios of calls from outside: menus, queues, phones that ring, voicemail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .company import DID
from .errors import NotPossibleError
from .scenario_parts import (
    available_user,
    menu,
    other_person,
    park_and_retrieve,
    queue,
    random_caller,
    random_group,
    ringing_leg,
    stop_ringing,
    talk,
    two_phones,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from .model import Channel, User
    from .pbx import Pbx

    Scenario = Iterator[float]

# Seconds; the production server's limit is about six hours.
MAX_CALL_DURATION = 6 * 60 * 60


def inbound_call(pbx: Pbx) -> Scenario:
    """Menu, ring group, one member answers; half of the calls are parked and retrieved."""
    lead = yield from menu(pbx)
    leg = yield from queue(pbx, lead, random_group(pbx))
    if leg is None:
        return
    yield pbx.random.uniform(4, 9)
    if pbx.random.random() < 0.5:
        leg = yield from park_and_retrieve(pbx, lead)
        yield pbx.random.uniform(3, 8)
    pbx.hang_up(lead)


def hunt(pbx: Pbx) -> Scenario:
    """The phones of a hunt group ring one after another, until a member answers."""
    lead = yield from menu(pbx)
    group = random_group(pbx, hunt=True)
    ringing = pbx.call_group(lead, group)
    tried = set()
    while ringing:
        yield pbx.random.uniform(2, 6)
        if pbx.random.random() < 0.5:
            pbx.connect(ringing[0])
            yield pbx.random.uniform(5, 60)
            break
        pbx.stop_ringing(ringing[0])
        tried.add(ringing[0].address)
        untried = [
            u
            for u in pbx.available(pbx.members_of(group))
            if tried.isdisjoint(phone.name for phone in pbx.terminals_of(u))
        ]
        ringing = [pbx.ring(lead, user) for user in untried[:1]]
    pbx.hang_up(lead)


def abandoned(pbx: Pbx) -> Scenario:
    """The caller abandons the call in the queue."""
    lead = yield from menu(pbx)
    pbx.call_group(lead, random_group(pbx))
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def voicemail(pbx: Pbx) -> Scenario:
    """Nobody answers; the caller leaves a message, and the box has one new message more."""
    lead, user = yield from _reach_voicemail(pbx)
    yield pbx.random.uniform(5, 30)
    pbx.hang_up(lead)
    _count_message(pbx, user)


def direct_call(pbx: Pbx) -> Scenario:
    """A customer calls a user directly; either of them hangs up."""
    lead = pbx.receive(random_caller(pbx), DID)
    leg = pbx.call_user(lead, available_user(pbx))
    yield pbx.random.uniform(2, 10)
    pbx.connect(leg)
    yield pbx.random.uniform(10, 120)
    pbx.hang_up(pbx.random.choice((lead, leg)))


def abandoned_ringing(pbx: Pbx) -> Scenario:
    """The caller abandons the call while a phone rings."""
    lead = pbx.receive(random_caller(pbx), DID)
    pbx.call_user(lead, available_user(pbx))
    yield pbx.random.uniform(5, 15)
    pbx.hang_up(lead)


def no_answer(pbx: Pbx) -> Scenario:
    """Nobody answers, and the PBX ends the call."""
    lead = pbx.receive(random_caller(pbx), DID)
    leg = pbx.call_user(lead, available_user(pbx))
    yield 30
    pbx.hang_up(leg, "NO_ANSWER", by_peer=False)


def after_hours(pbx: Pbx) -> Scenario:
    """A remote-controlled menu, then a SIP URL, then the endpoint of another PBX."""
    lead = pbx.receive(random_caller(pbx), DID)
    pbx.set_state(lead, "xml_ivr")
    yield 1
    pbx.answer(lead)
    yield pbx.random.uniform(2, 6)
    pbx.set_state(lead, "calling_siptermination", url="sip:night@voice.example.com")
    yield pbx.random.uniform(5, 20)
    pbx.set_state(
        lead,
        "calling",
        target_location="ext",
        target_type="bridged_endpoint",
        address="night@branch.example.com",
    )
    yield pbx.random.uniform(5, 20)
    pbx.hang_up(lead)


def maximum_duration(pbx: Pbx) -> Scenario:
    """The PBX ends a call that reaches the maximum duration."""
    lead = yield from talk(pbx)
    yield MAX_CALL_DURATION
    pbx.hang_up(lead, "ALLOTTED_TIMEOUT", by_peer=False)


def ring_rounds(pbx: Pbx) -> Scenario:
    """All phones of a ring group ring in several rounds; a member answers, or the PBX gives up."""
    lead = yield from menu(pbx)
    group = random_group(pbx)
    ringing = pbx.call_group(lead, group)
    for _ in range(pbx.random.randint(1, 3)):
        yield pbx.random.uniform(10, 15)
        stop_ringing(pbx, lead, ringing)
        yield pbx.random.uniform(1, 3)
        ringing = [pbx.ring(lead, user) for user in pbx.available(pbx.members_of(group))]
    yield pbx.random.uniform(2, 8)
    if pbx.random.random() < 0.7:
        pbx.connect(ringing_leg(pbx, ringing))
        yield pbx.random.uniform(5, 60)
        pbx.hang_up(lead)
    else:
        stop_ringing(pbx, lead, ringing)
        pbx.hang_up(lead, by_peer=False)


def overflow(pbx: Pbx) -> Scenario:
    """Nobody answers in time, and the call goes to the queue of a second group."""
    lead = yield from menu(pbx)
    first = random_group(pbx)
    others = [group for group in pbx.groups.values() if group is not first]
    if not others:
        raise NotPossibleError("the PBX has no second group")
    second = pbx.random.choice(others)
    ringing = pbx.call_group(lead, first)
    yield pbx.random.uniform(10, 20)
    stop_ringing(pbx, lead, ringing)
    ringing = pbx.call_group(lead, second)
    yield pbx.random.uniform(3, 15)
    match pbx.random.randrange(3):
        case 0:
            pbx.hang_up(lead)
            return
        case 1:
            stop_ringing(pbx, lead, ringing)
            pbx.leave_message(lead, second)
            yield pbx.random.uniform(5, 30)
        case _:
            pbx.connect(ringing_leg(pbx, ringing))
            yield pbx.random.uniform(5, 60)
    pbx.hang_up(lead)


def announcement(pbx: Pbx) -> Scenario:
    """An announcement interrupts the wait in a queue; then the caller waits on, or leaves."""
    lead = yield from menu(pbx)
    group = random_group(pbx)
    ringing = pbx.call_group(lead, group)
    for _ in range(pbx.random.randint(1, 2)):
        yield pbx.random.uniform(10, 20)
        stop_ringing(pbx, lead, ringing)
        pbx.set_state(lead, "system_operation", operation="playback")
        yield pbx.random.uniform(2, 6)
        ending = pbx.random.random()
        if ending < 0.2:
            pbx.hang_up(lead, by_peer=ending < 0.1)
            return
        ringing = pbx.call_group(lead, group)
    yield pbx.random.uniform(2, 10)
    if pbx.random.random() < 0.7:
        pbx.connect(ringing_leg(pbx, ringing))
        yield pbx.random.uniform(5, 60)
    pbx.hang_up(lead)


def callback(pbx: Pbx) -> Scenario:
    """A caller abandons the call in the queue, and a user calls them back."""
    person = other_person(pbx, None)
    lead = pbx.receive(person, DID)
    pbx.set_state(lead, "ivr", ivr_id="main_menu")
    pbx.answer(lead)
    yield pbx.random.uniform(1, 4)
    pbx.call_group(lead, random_group(pbx))
    yield pbx.random.uniform(10, 40)
    pbx.hang_up(lead)
    yield pbx.random.uniform(20, 300)
    lead = pbx.receive(available_user(pbx), person.number)
    leg = pbx.call_out(lead, person)
    yield pbx.random.uniform(4, 12)
    if pbx.random.random() < 0.7:
        pbx.connect(leg)
        yield pbx.random.uniform(10, 90)
    pbx.hang_up(lead)


def two_phones_ring(pbx: Pbx) -> Scenario:
    """Two phones of a user ring at once; they answer one of them, or neither."""
    user = available_user(pbx)
    second = two_phones(pbx, user)[1]
    lead = pbx.receive(random_caller(pbx), DID)
    legs = [pbx.call_user(lead, user), pbx.ring(lead, user, second)]
    yield pbx.random.uniform(2, 10)
    if pbx.random.random() < 0.6:
        pbx.connect(ringing_leg(pbx, legs))
        yield pbx.random.uniform(5, 60)
        pbx.hang_up(lead)
    else:
        stop_ringing(pbx, lead, legs)
        pbx.hang_up(lead, "NO_ANSWER", by_peer=False)


def closed(pbx: Pbx) -> Scenario:
    """A menu says that the company is closed, and the PBX ends the call."""
    lead = yield from menu(pbx)
    pbx.hang_up(lead, by_peer=False)


def short_voicemail(pbx: Pbx) -> Scenario:
    """A caller reaches a voicemail box, and hangs up during the greeting."""
    lead, _ = yield from _reach_voicemail(pbx)
    yield pbx.random.uniform(0.2, 2)
    pbx.hang_up(lead)


def not_routed(pbx: Pbx) -> Scenario:
    """The PBX refuses a call before it has routed it, or the caller hangs up at once."""
    lead = pbx.receive(random_caller(pbx), DID)
    pbx.set_state(lead, "system_operation", operation="route")
    yield pbx.random.uniform(0.01, 0.06)
    cause = pbx.random.choice(("CALL_REJECTED", "UNALLOCATED_NUMBER", None))
    pbx.hang_up(lead, cause, by_peer=cause is None)


def forwarded(pbx: Pbx) -> Scenario:
    """The user called forwards: always, if busy, or if they do not answer; so does the next one.

    A third user, somebody outside or a voicemail box takes the call.
    """
    lead = pbx.receive(random_caller(pbx), DID)
    first = available_user(pbx)
    condition = pbx.random.choice(("always", "busy", "no answer"))
    if condition == "always":
        pbx.request(lead, first)
    else:
        leg = pbx.call_user(lead, first)
        yield 0.5 if condition == "busy" else 15
        pbx.refuse(leg, "USER_BUSY" if condition == "busy" else "NO_ANSWER")
    second = available_user(pbx, other_than=first)
    leg = pbx.call_user(lead, second)
    yield 15
    pbx.stop_ringing(leg)
    match pbx.random.randrange(3):
        case 0:
            pbx.leave_message(lead, second)
            yield pbx.random.uniform(5, 30)
            pbx.hang_up(lead)
            _count_message(pbx, second)
            return
        case 1:
            leg = pbx.call_out(lead, other_person(pbx, lead.person))
        case _:
            leg = pbx.call_user(lead, available_user(pbx, other_than=second))
    yield pbx.random.uniform(2, 10)
    pbx.connect(leg)
    yield pbx.random.uniform(5, 60)
    pbx.hang_up(lead)


def _reach_voicemail(pbx: Pbx) -> Generator[float, None, tuple[Channel, User]]:
    """Let a caller reach the voicemail box of a user who does not answer; return both."""
    user = available_user(pbx)
    lead = pbx.receive(random_caller(pbx), DID)
    leg = pbx.call_user(lead, user)
    yield 20
    pbx.stop_ringing(leg)
    pbx.leave_message(lead, user)
    return lead, user


def _count_message(pbx: Pbx, user: User) -> None:
    """Count one more new message in a user's voicemail box."""
    new, _, saved = (user.mwi or "0/0").partition("/")
    pbx.set_message_counts(user, int(new) + 1, int(saved))
