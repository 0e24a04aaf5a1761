"""Scenarios of calls that users place, and of changes in the company."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .scenario_parts import (
    available_user,
    other_person,
    random_caller,
    random_group,
    refused,
    ringing_leg,
    talk,
    two_phones,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .model import GroupMember, Terminal
    from .pbx import Pbx

    Scenario = Iterator[float]


def internal_call(pbx: Pbx) -> Scenario:
    """One user calls another."""
    caller = available_user(pbx)
    callee = available_user(pbx, other_than=caller)
    lead = pbx.receive(caller, callee.main_extension)
    leg = pbx.call_user(lead, callee)
    yield pbx.random.uniform(2, 6)
    pbx.connect(leg)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(pbx.random.choice((lead, leg)))


def outbound_call(pbx: Pbx) -> Scenario:
    """A user calls a customer."""
    person = random_caller(pbx)
    lead = pbx.receive(available_user(pbx), person.number)
    leg = pbx.call_out(lead, person)
    yield pbx.random.uniform(4, 12)
    pbx.connect(leg)
    yield pbx.random.uniform(10, 90)
    pbx.hang_up(pbx.random.choice((lead, leg)))


def busy(pbx: Pbx) -> Scenario:
    """A user calls a customer, who is busy."""
    yield from refused(pbx, "USER_BUSY")


def rejected(pbx: Pbx) -> Scenario:
    """A user calls a customer, who rejects the call."""
    yield from refused(pbx, "CALL_REJECTED")


def unreachable(pbx: Pbx) -> Scenario:
    """A user calls a customer, whose phone does not respond."""
    yield from refused(pbx, "NO_USER_RESPONSE")


def click_to_call(pbx: Pbx) -> Scenario:
    """The CRM calls a user through the API, and then the customer."""
    lead = pbx.originate(available_user(pbx), random_caller(pbx).number)
    yield pbx.random.uniform(1, 3)
    pbx.answer(lead)
    leg = pbx.call_out(lead, random_caller(pbx))
    yield pbx.random.uniform(4, 12)
    pbx.connect(leg)
    yield pbx.random.uniform(10, 60)
    pbx.hang_up(leg)


def click_to_call_endpoints(pbx: Pbx) -> Scenario:
    """The CRM calls a user on two phones; they answer one or neither, and so does the customer."""
    user = available_user(pbx)
    person = other_person(pbx, None)
    phones = {pbx.new_uuid(): phone for phone in two_phones(pbx, user)}
    legs = pbx.ring_endpoints(phones, person.number, auto_answer=False)
    yield pbx.random.uniform(2, 10)
    ending = pbx.random.random()
    if ending < 0.3:
        for leg in legs:
            pbx.stop_ringing(leg)
        return
    lead = pbx.random.choice(legs)
    leg = pbx.answer_originated(lead)[0]
    yield pbx.random.uniform(4, 12)
    if ending < 0.5:
        pbx.hang_up(leg, "NO_ANSWER", by_peer=False)
    else:
        pbx.connect(leg)
        yield pbx.random.uniform(10, 60)
        pbx.hang_up(pbx.random.choice((lead, leg)))


def queue_call(pbx: Pbx) -> Scenario:
    """A user calls a queue; a member answers, or the user gives up."""
    group = random_group(pbx)
    lead = pbx.receive(available_user(pbx), group.main_extension)
    legs = pbx.call_group(lead, group)
    yield pbx.random.uniform(2, 10)
    if pbx.random.random() < 0.7:
        pbx.connect(ringing_leg(pbx, legs))
        yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def checking_voicemail(pbx: Pbx) -> Scenario:
    """A user listens to their messages; new messages become saved ones."""
    user = available_user(pbx)
    lead = pbx.receive(user, "*97")
    pbx.set_state(lead, "checking_voicemail", target_name=user.name)
    pbx.answer(lead)
    yield pbx.random.uniform(5, 30)
    new, _, saved = (user.mwi or "0/0").partition("/")
    pbx.set_message_counts(user, 0, int(new) + int(saved))
    pbx.hang_up(lead)


def conference(pbx: Pbx) -> Scenario:
    """A caller, the user they talk to and a colleague join a conference room."""
    lead = yield from talk(pbx)
    leg = pbx.partner(lead)
    third = pbx.receive(available_user(pbx), "8000")
    pbx.set_state(third, "system_operation", operation="conference")
    pbx.answer(third)
    yield 1
    participants = [lead, third] if leg is None else [lead, leg, third]
    pbx.start_conference(participants, "8000")
    yield pbx.random.uniform(10, 60)
    for channel in participants:
        pbx.hang_up(channel)
        yield pbx.random.uniform(0.2, 2)


def conference_call(pbx: Pbx) -> Scenario:
    """Users dial a conference room one after another; now and then it refuses the first one."""
    first = pbx.receive(available_user(pbx), "8000")
    pbx.set_state(first, "conference", room_id="8000")
    if pbx.random.random() < 0.2:
        yield 0.2
        pbx.hang_up(first, "CALL_REJECTED", by_peer=False)
        return
    pbx.answer(first)
    yield pbx.random.uniform(2, 20)
    second = pbx.receive(available_user(pbx), "8000")
    pbx.set_state(second, "conference", room_id="8000")
    pbx.answer(second)
    yield pbx.random.uniform(10, 60)
    for channel in (first, second):
        pbx.hang_up(channel)
        yield pbx.random.uniform(0.2, 2)


def eavesdrop(pbx: Pbx) -> Scenario:
    """A supervisor listens in on a call."""
    lead = yield from talk(pbx)
    plug = pbx.originate(available_user(pbx), "media_plug")
    yield 1
    pbx.answer(plug)
    pbx.eavesdrop(plug, lead)
    yield pbx.random.uniform(5, 20)
    pbx.hang_up(plug)
    yield pbx.random.uniform(1, 5)
    pbx.hang_up(lead)


# -- users, groups, phones ------------------------------------------------------------


def directory_changes(pbx: Pbx) -> Scenario:
    """One random change of presence, labels, phones, memberships, groups or users."""
    rng = pbx.random
    user = rng.choice(list(pbx.users.values()))
    match rng.randrange(7):
        case 0:
            pbx.edit(user, presence=rng.randrange(4))
        case 1:
            pbx.edit(user, label=user.label.split("・")[0] + f"・{rng.randrange(100)}")
        case 2 if pbx.terminals_of(user):
            phone: Terminal = pbx.terminals_of(user)[0]
            pbx.edit(phone, registered=0)
            yield rng.uniform(5, 60)
            pbx.edit(phone, registered=1, user_agent=f"Softphone 4.{rng.randrange(9)}")
        case 3:
            member: GroupMember = pbx.add_member(user, rng.choice(list(pbx.groups.values())))
            yield rng.uniform(5, 60)
            pbx.edit(member, priority=1, login_status=1)
            yield rng.uniform(5, 60)
            if member.id in pbx.members:
                pbx.remove_member(member)
        case 4:
            pbx.edit(rng.choice(list(pbx.groups.values())), flags=rng.randrange(8))
        case 5:
            group = pbx.create_group("臨時グループ", hunt=True)
            pbx.add_member(user, group)
            yield rng.uniform(20, 60)
            pbx.remove_group(group)
        case _:
            trainee = pbx.add_user("研修生")
            yield rng.uniform(20, 60)
            pbx.remove_user(trainee)
