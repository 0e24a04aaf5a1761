"""CallTracker where it is hard: joined late, blind for a while, shown a part, in any order."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import attrs
import pytest
from support.call_transcripts import CALLERS, SCENARIOS, Scribe, World, tidy

from basix_ws_cti import Channel, InitialInfo, Mirror
from basix_ws_cti.calls import (
    CallEnded,
    CallRetrieved,
    CallRinging,
    CallStarted,
    CallTracker,
    CallTransferred,
    CallUpdated,
    Party,
    active_legs,
    phase_history,
)
from basix_ws_cti.calls import tracker as module
from basix_ws_cti.elements import OtherInfo
from basix_ws_cti.mirror.changes import Added, Changed, Gap, Removed
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.states import Bridged, Conference, Ivr, Park, Ringing, SystemOperation

YAMADA = CALLERS[0]


def told(world):
    return tidy(Scribe(world).write(world.events))


def ring(world, number=0):
    """Yamada calls a user, whose telephone rings: both legs."""
    line = world.pbx.receive(YAMADA, DID)
    return line, world.pbx.call_user(line, world.users[number])


def talk(world, number=0):
    line, leg = ring(world, number)
    world.wait(2)
    world.pbx.connect(leg)
    world.wait(10)
    return line, leg


def call_of(world, channel):
    """The call that a channel is a living leg of."""
    (call,) = (
        call
        for call in world.tracker.calls.values()
        if any(leg.uuid == channel.uuid and leg.ended is None for leg in call.legs)
    )
    return call


# == what a user's own connection shows ====================================================


def test_a_user_is_called():
    """Where only the telephone that rings is shown, it is the same call: same id, same caller."""
    world = World(user=0)
    line, leg = ring(world)
    world.wait(3)
    world.pbx.connect(leg)
    world.wait(9)
    world.pbx.hang_up(line)
    assert told(world) == tidy("""
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 answered by A, waited since 0
        2 ends: answered by caller, NORMAL_CLEARING
        ringing A 0-1, talking A 1-2
    """)
    (call,) = world.ended
    assert call.id == line.uuid
    assert call.caller == Party(
        number=YAMADA.number, name=YAMADA.name, end_user=call.caller.end_user
    )
    assert call.answered_by == Party(user_id=world.users[0].id)


def test_a_user_calls_out():
    """Where only the user's leg is shown, who is called and hangs up is told by that leg."""
    world = World(user=0)
    line = world.pbx.receive(world.users[0], YAMADA.number)
    leg = world.pbx.call_out(line, YAMADA)
    world.wait(3)
    world.pbx.connect(leg)
    world.wait(9)
    world.pbx.hang_up(leg)
    assert told(world) == tidy("""
        0 starts: outbound from A, ringing customer
        1 answered by customer, waited since 0
        2 ends: answered by callee, NORMAL_CLEARING
        ringing customer 0-1, talking customer 1-2
    """)


@pytest.mark.parametrize("story", ["pick", "race"])
def test_another_was_faster(story):
    """A telephone that stops to ring because another answered: never a missed call."""
    world = World(user=0)
    line = world.pbx.receive(YAMADA, DID)
    if story == "race":
        legs = world.pbx.call_group(line, world.group)
        world.wait(3)
        world.pbx.connect(legs[1])
    else:
        world.pbx.call_user(line, world.users[0])
        world.wait(3)
        leg = world.pbx.receive(world.users[1], "pickup")
        world.pbx.pick_up(leg, line)
    (call,) = world.ended
    assert (call.disposition, call.ended_by) == ("picked up elsewhere", "pbx")
    assert [leg.outcome for leg in call.legs] == ["picked up elsewhere"]
    assert call.cause == ("LOSE_RACE" if story == "race" else "PICKED_OFF")


def test_the_caller_gives_up_unseen():
    """A cancel that is sent on to a telephone is the caller's, whose leg is not shown."""
    world = World(user=0)
    line, _ = ring(world)
    world.wait(5)
    world.pbx.hang_up(line)
    assert told(world) == tidy("""
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 ends: abandoned in ringing by caller, ORIGINATOR_CANCEL
        ringing A 0-1
    """)


def test_parked_and_fetched_unseen():
    """A user who parks somebody unseen is through; who fetches somebody unseen begins anew."""
    world = World(user=0)
    line, _ = talk(world, number=0)
    slot = world.pbx.park(line)
    world.wait(20)
    leg = world.pbx.receive(world.users[0], str(slot))
    world.pbx.set_state(leg, "system_operation", operation="unpark")
    world.wait(1)
    world.pbx.retrieve(leg, line)
    world.wait(5)
    world.pbx.hang_up(leg)
    assert told(world) == tidy("""
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 answered by A, waited since 0
        2 ends: answered by callee, NORMAL_CLEARING
        ringing A 0-1, talking A 1-2
        3 #2 starts: internal from A, other unpark
        4 #2 answered by customer, waited since 3
        5 #2 ends: answered by caller, NORMAL_CLEARING
        #2 other unpark 3-4, talking customer 4-5
    """)


@pytest.mark.parametrize("remembered", [1000, 0])
def test_a_telephone_rings_again_for_somebody_unseen(remembered, monkeypatch):
    """Each time is a call of its own with an id of its own, as far as memory goes."""
    monkeypatch.setattr(module, "MAX_ENDED_UNSEEN", remembered)
    world = World(user=0)
    line = world.pbx.receive(YAMADA, DID)
    legs = []
    for _ in range(2):
        legs.append(world.pbx.call_user(line, world.users[0]))
        world.wait(5)
        world.pbx.stop_ringing(legs[-1])
    world.pbx.hang_up(line)
    first, second = world.ended
    assert first.id == line.uuid
    assert second.id == (legs[1].uuid if remembered else line.uuid)
    assert first.caller == second.caller
    assert (first.disposition, second.disposition) == ("missed", "missed")
    assert first.direction == second.direction == "inbound"


# == hand-built ============================================================================


def test_the_only_telephone_of_a_queue_refuses():
    """A telephone that is busy does not end a queue; when the PBX does, it was missed."""
    world = World()
    line = world.pbx.receive(YAMADA, DID)
    (leg, *others) = world.pbx.call_group(line, world.group)
    world.wait(1)
    world.pbx.refuse(leg)
    world.wait(20)
    for other in others:
        world.pbx.stop_ringing(other)
    world.pbx.hang_up(line, by_peer=False)
    assert told(world) == tidy("""
        0 starts: inbound from customer, queued group
        0 rings at 5 telephones
        2 ends: missed by pbx, NO_ANSWER 480
        queued group 0-2
    """)
    outcomes = [leg.outcome for leg in world.ended[0].legs]
    assert outcomes == ["busy", *["missed"] * 5]


def test_busy_and_the_line_ends_for_another_cause():
    """A call is busy when the only one who was asked is, whatever the line is told."""
    world = World()
    _, leg = ring(world)
    world.wait(1)
    world.pbx.hang_up(leg)
    (call,) = world.ended
    assert (call.disposition, call.ended_by, call.sip_status) == ("busy", "callee", 486)
    assert {leg.hangup.cause for leg in call.legs} == {"USER_BUSY", "NO_ANSWER"}


def test_announced_transfer_by_who_called():
    """A user calls a customer, asks a colleague, and hands the customer over: one call goes on."""
    world = World()
    line = world.pbx.receive(world.users[0], YAMADA.number)
    customer = world.pbx.call_out(line, YAMADA)
    world.wait(3)
    world.pbx.connect(customer)
    world.wait(9)
    asking = world.pbx.receive(world.users[0], world.users[1].main_extension)
    asked = world.pbx.call_user(asking, world.users[1])
    world.wait(2)
    world.pbx.connect(asked)
    world.wait(4)
    world.pbx.attended_transfer(customer, asked)
    world.wait(30)
    world.pbx.hang_up(asked)
    assert told(world) == tidy("""
        0 starts: outbound from A, ringing customer
        0 rings at customer
        1 answered by customer, waited since 0
        2 #2 starts: internal from A, ringing B
        2 #2 rings at B
        3 #2 answered by B, waited since 2
        4 #2 ends: answered joined #1
        #2 ringing B 2-3, talking B 3-4
        4 sent on by A to B
        5 ends: answered by callee, NORMAL_CLEARING
        ringing customer 0-1, talking customer 1-4, talking B 4-5
    """)


def test_announced_transfer_of_second_legs():
    """Two calls' second legs are joined: who talked first goes on, with somebody else."""
    world = World()
    line, leg = talk(world, 0)
    asking = world.pbx.receive(YAMADA, DID)  # the same customer on another line
    asked = world.pbx.call_user(asking, world.users[1])
    world.pbx.connect(asked)
    world.wait(4)
    for one, other in ((leg, asked), (asked, leg)):
        one.other_uuid, one.other_info = other.uuid, other.summary
    world.pbx.set_state(leg, "bridged")
    world.pbx.set_state(asked, "bridged")
    world.pbx._end(line, "recv_bye")
    world.pbx._end(asking, "recv_bye")
    sent = [event for event in world.events if isinstance(event, CallTransferred)]
    assert [(event.source.number, event.target.user_id) for event in sent] == [
        (YAMADA.number, world.users[1].id)
    ]


@pytest.mark.parametrize("comes_back", [True, False])
def test_park_recall(comes_back):
    """A parked call that rings back is no transfer; somebody answers, or the caller gives up."""
    world = World()
    line, _ = talk(world)
    world.pbx.park(line)
    world.wait(60)
    (leg,) = world.pbx.transfer(line, world.users[0])
    world.wait(3)
    if comes_back:
        world.pbx.connect(leg)
        world.wait(5)
    world.pbx.hang_up(line)
    again = """
        4 answered by A, waited since 3
        5 ends: answered by caller, NORMAL_CLEARING
        ringing A 0-1, talking A 1-2, parked by A 2-3, ringing A 3-4, talking A 4-5
    """
    gone = """
        4 ends: answered by caller, NORMAL_CLEARING
        ringing A 0-1, talking A 1-2, parked by A 2-3, ringing A 3-4
    """
    assert told(world) == tidy(
        """
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 answered by A, waited since 0
        2 parked by A
        3 now ringing A
        3 rings at A
        """
        + (again if comes_back else gone)
    )
    assert world.ended[0].transfers == 0


def test_transfers_to_a_group_and_outside():
    """A call is sent on to a group, and from there to a number outside."""
    world = World()
    line, _ = talk(world)
    legs = world.pbx.transfer(line, world.group)
    world.wait(3)
    world.pbx.connect(legs[2])
    world.wait(4)
    (leg,) = world.pbx.transfer(line, CALLERS[3])
    world.wait(5)
    world.pbx.connect(leg)
    world.wait(6)
    world.pbx.hang_up(leg)
    assert told(world) == tidy("""
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 answered by A, waited since 0
        2 sent on by A to group
        2 rings at 5 telephones
        3 answered by B, waited since 2
        4 sent on by B to customer
        4 rings at customer
        5 answered by customer, waited since 4
        6 ends: answered by callee, NORMAL_CLEARING
        ringing A 0-1, talking A 1-2, queued group 2-3, talking B 3-4, ringing customer 4-5, \
talking customer 5-6
    """)
    assert world.ended[0].transfers == 2
    assert world.ended[0].direction == "inbound"


def test_a_user_s_call_is_sent_outside():
    """An internal call that is sent on to somebody outside is an outbound one from then on."""
    world = World()
    line = world.pbx.receive(world.users[0], world.users[1].main_extension)
    leg = world.pbx.call_user(line, world.users[1])
    world.pbx.connect(leg)
    world.wait(3)
    world.pbx.transfer(leg, YAMADA)
    (call,) = world.tracker.calls.values()
    assert call.direction == "outbound"
    assert (call.caller.user_id, call.phase.kind) == (world.users[0].id, "ringing")


@pytest.mark.parametrize("how", ["park", "pickup"])
def test_too_late_to_fetch(how):
    """Who wants to fetch a call that ends meanwhile has a call of their own, and changes none."""
    world = World()
    line, leg = talk(world) if how == "park" else ring(world)
    number = str(world.pbx.park(line)) if how == "park" else f"pickup_uuid.{leg.uuid}"
    world.wait(1)
    guest = world.pbx.receive(world.users[1], number)
    world.pbx.set_state(guest, "system_operation", operation="fetch")
    assert len(world.tracker.calls) == 1
    world.wait(1)
    world.pbx.hang_up(line)
    (call,) = world.ended
    ended = call.ended
    assert ended == world.pbx.now
    assert call.disposition == ("answered" if how == "park" else "abandoned")
    assert call_of(world, guest).caller.user_id == world.users[1].id
    world.wait(1)
    world.pbx.hang_up(guest)
    assert [one.id for one in world.ended] == [line.uuid, guest.uuid]


def test_a_guest_does_not_lead():
    """When the caller's leg is gone, and others go on, who wanted to fetch it does not lead."""
    world = World()
    line, leg = ring(world)
    guest = world.pbx.receive(world.users[1], f"pickup_uuid.{leg.uuid}")
    world.pbx.set_state(guest, "system_operation", operation="pickup")
    world.pbx.connect(leg)
    world.wait(2)
    world.pbx.transfer(leg, YAMADA)
    world.wait(2)
    assert call_of(world, guest).phase.kind == "ringing"
    world.pbx.hang_up(leg)
    assert [phase.kind for phase in world.ended[0].phases] == ["ringing", "talking", "ringing"]
    assert world.ended[0].ended_by == "callee"
    assert line.uuid == world.ended[0].id


@pytest.mark.parametrize("known", [True, False])
def test_unpark(known):
    """Who dials the slot belongs to the call at once; if the slot says nothing, when they talk."""
    world = World()
    line, _ = talk(world)
    slot = world.pbx.park(line)
    world.wait(20)
    leg = world.pbx.receive(world.users[1], str(slot) if known else "fetch it")
    world.pbx.set_state(leg, "system_operation", operation="unpark")
    assert (call_of(world, leg).id == line.uuid) is known
    world.wait(1)
    world.pbx.retrieve(leg, line)
    (fetched,) = (event for event in world.events if isinstance(event, CallRetrieved))
    assert fetched.call.id == call_of(world, leg).id == line.uuid
    assert (fetched.parked_for, fetched.party.user_id) == (21_000_000, world.users[1].id)
    world.wait(3)
    world.pbx.hang_up(line)
    assert [call.joined for call in world.ended] == ([None] if known else [line.uuid, None])
    assert world.ended[-1].id == line.uuid


def test_two_calls_with_the_same_people():
    """Two calls of the same two people are two."""
    world = World()
    first, leg = talk(world)
    second = world.pbx.receive(YAMADA, DID)
    other = world.pbx.call_user(second, world.users[0])
    assert {call_of(world, leg).id, call_of(world, other).id} == {first.uuid, second.uuid}
    world.pbx.hang_up(second)
    world.pbx.hang_up(first)
    assert [call.id for call in world.ended] == [second.uuid, first.uuid]


def test_a_leg_that_never_ends():
    """A telephone that is never said to fall silent keeps its call, until a picture lacks it."""
    world = World()
    line, leg = ring(world)
    world.wait(2)
    messages = [
        Removed("channel", one) for one in world.mirror.channels.values() if one.uuid == line.uuid
    ]
    (call,) = world.tracker.calls.values()
    world.tracker.apply(messages)
    assert [one.uuid for one in world.tracker.calls[call.id].legs if one.ended is None] == [
        leg.uuid
    ]
    world.pbx.listeners.clear()
    world.pbx.hang_up(line)
    world.see_again()
    (call,) = world.ended
    assert not call.complete


def test_the_pbx_ends_who_was_sent_on():
    """Why a call ended whose caller had sent it on is told by who is left, not by what rang."""
    world = World()
    _, leg = talk(world)
    world.pbx.transfer(leg, YAMADA)
    world.wait(2)
    world.pbx.hang_up(leg, by_peer=False)
    (call,) = world.ended
    assert {one.hangup.cause for one in call.legs[1:]} == {"NORMAL_CLEARING", "ORIGINATOR_CANCEL"}
    assert (call.ended_by, call.cause) == ("pbx", "NORMAL_CLEARING")


def test_who_talked_leads_on():
    """When the caller's leg is gone, who talked leads, and not an older leg that joined them."""
    world = World()
    asking = world.pbx.receive(YAMADA, DID)
    world.pbx.set_state(asking, "ivr", ivr_id="main_menu")
    world.wait(1)
    line, leg = talk(world, 0)
    asked = world.pbx.call_user(asking, world.users[1])  # the youngest leg of all
    world.pbx.connect(asked)
    world.wait(4)
    world.pbx.bridge(asked, leg)
    world.pbx._end(line, "recv_bye")
    world.pbx._end(asking, "recv_bye")
    (sent,) = (event for event in world.events if isinstance(event, CallTransferred))
    # Of the older call, user 1 goes on, with user 0 of the other.
    assert sent.call.id == asking.uuid
    assert (sent.source.number, sent.target.user_id) == (YAMADA.number, world.users[0].id)


def test_what_is_left_begins_when_the_line_is_gone():
    """What a leg does that is left over is the call's phase from the moment when the line went."""
    tracker = CallTracker()
    line = channel("a", state=Bridged(ts=5), offer_timestamp=1, other_uuid="b")
    leg = channel("b", state=Bridged(ts=5), offer_timestamp=2, other_uuid="a")
    tracker.apply([Added("channel", line), Added("channel", leg)])
    away = channel("b", state=Conference(ts=8, room_id=1), offer_timestamp=2)
    tracker.apply([Changed("channel", away, leg)])
    tracker.apply([Removed("channel", attrs.evolve(line, hangup_timestamp=20))])
    phases = [(one.kind, one.started, one.ended) for one in tracker.calls["a"].phases]
    assert phases == [("talking", 1, 20), ("conference", 20, None)]


@pytest.mark.parametrize("late", [True, False])
def test_joining_takes_guests_along(late):
    """Who wants to fetch a call that joins another wants that; what is incomplete makes it so."""
    world = World()
    line, _ = talk(world, 0)
    asking = world.pbx.receive(world.users[0], world.users[1].main_extension)
    asked = world.pbx.call_user(asking, world.users[1])
    guest = world.pbx.receive(world.users[2], f"pickup_uuid.{asked.uuid}")
    world.pbx.set_state(guest, "system_operation", operation="pickup")
    world.wait(1)
    if late:
        world.tracker.apply([Changed("channel", world.mirror.channels[asked.uuid], None, True)])
    world.pbx.connect(asked)
    world.wait(4)
    world.pbx.attended_transfer(line, asked)
    assert call_of(world, guest).id == line.uuid
    world.wait(3)
    world.pbx.hang_up(line)
    assert [call.id for call in world.ended] == [asking.uuid, line.uuid]
    assert [call.complete for call in world.ended] == [not late, not late]
    own = call_of(world, guest)
    assert (own.id, own.complete) == (guest.uuid, not late)


def test_handed_over_in_the_moment_of_the_answer():
    """Who answered is who answered, though the call is with somebody else at once."""
    world = World()
    line, leg = ring(world)
    world.wait(3)
    world.pbx.connect(leg)
    (second,) = world.pbx.transfer(line, world.users[1])
    world.pbx.connect(second)
    world.pbx.answer(second)
    world.wait(1)
    world.pbx.hang_up(line)
    (call,) = world.ended
    assert call.answered_by.user_id == world.users[0].id
    assert call.transfers == 1


def test_who_fetched_long_ago_fetches_nothing():
    """A leg that picked up once, and does something else when the client comes, is no guest."""
    tracker = CallTracker()
    tracker.apply([Added("channel", channel("a", state=Ivr(ts=1), offer_timestamp=1))])
    done = {"called_number": "pickup_uuid.a", "peer_location": "internal", "answer_timestamp": 3}
    tracker.apply([Added("channel", channel("b", state=Conference(ts=5), **done))])
    assert set(tracker.calls) == {"a", "b"}


# == joined late ===========================================================================


def _same(call):
    """What a client that came late must know as well of a call."""
    return (
        call.direction,
        attrs.evolve(call.caller, whoscall=None),
        call.called_number,
        attrs.evolve(call.phase, party=attrs.evolve(call.phase.party, whoscall=None)),
        {leg.uuid for leg in call.legs if leg.ended is None},
    )


def moments(story, seed):
    """A story at each of its moments."""
    world = World(seed, users=40 if story == "hunt" else 5)
    world.timeline.start(SCENARIOS[story](world.pbx))
    while world.timeline.time_to_next is not None:
        world.timeline.step()
        yield world


@pytest.mark.parametrize("story", SCENARIOS)
@pytest.mark.parametrize("seed", [1, 2])
def test_joined_at_each_moment_in_any_order(story, seed):
    """Who comes late finds the calls that those find who were there, whatever comes first."""
    for world in moments(story, seed):
        legs = list(world.mirror.channels.values())
        late = CallTracker(legs).calls
        if "conference" not in {leg.state.name for leg in legs}:
            assert {key: _same(call) for key, call in late.items()} == {
                key: _same(call) for key, call in world.tracker.calls.items()
            }
        for order in itertools.islice(itertools.permutations(legs), 24):
            found = CallTracker(order).calls
            assert {**found} == {
                key: attrs.evolve(late[key], legs=found[key].legs) for key in found
            }
            assert {key: set(call.legs) for key, call in found.items()} == {
                key: set(call.legs) for key, call in late.items()
            }


@pytest.mark.parametrize("story", SCENARIOS)
def test_told_in_any_order(story):
    """So it is when the legs are told of one by one, and not in the order of their coming.

    But for who wants to fetch a call that is not there yet: see the tests of unpark.
    """
    for world in moments(story, 1):
        legs = list(world.mirror.channels.values())
        if {"conference", "system_operation"} & {leg.state.name for leg in legs}:
            continue
        for order in itertools.islice(itertools.permutations(legs), 24):
            tracker = CallTracker()
            for leg in order:
                tracker.apply([Added("channel", leg)])
            assert {key: _same(call)[:3] for key, call in tracker.calls.items()} == {
                key: _same(call)[:3] for key, call in world.tracker.calls.items()
            }
            assert {key: call.started for key, call in tracker.calls.items()} == {
                key: call.started for key, call in world.tracker.calls.items()
            }


def test_joined_in_a_talk():
    """A talk that was found going on: what was before is unknown, and the rest is right."""
    world = World()
    line, leg = talk(world)
    world.join()
    (call,) = world.tracker.calls.values()
    assert call.id == line.uuid
    assert not call.complete
    assert [(phase.kind, phase.duration) for phase in call.phases] == [
        ("unknown", 2_000_000),
        ("talking", 0),
    ]
    assert call.answered_by.user_id == world.users[0].id
    world.wait(5)
    world.pbx.hang_up(leg)
    assert told(world) == tidy("""
        3 ends: answered by callee, NORMAL_CLEARING (incomplete)
        unknown 0-1, talking A 1-3
    """)


# == blind for a while =====================================================================


def test_a_gap_swallows_the_end():
    """A call that is gone after a gap ended, for all that is known, when the gap began."""
    world = World()
    line, _ = talk(world)
    world.blind = True
    began = world.pbx.now
    world.wait(5)
    world.pbx.hang_up(line)
    world.wait(5)
    world.see_again([Gap(_moment(began), _moment(world.pbx.now), None)])
    assert told(world) == tidy("""
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 answered by A, waited since 0
        2 ends: answered (synthetic) (incomplete)
        ringing A 0-1, talking A 1-2
    """)
    (call,) = world.ended
    assert {leg.outcome for leg in call.legs} == {"unknown"}


def test_a_gap_swallows_the_end_of_what_rang():
    """How a call ended that rang when the gap began, nobody can say."""
    world = World()
    line, _ = ring(world)
    world.wait(2)
    world.blind = True
    world.pbx.hang_up(line)
    world.see_again()
    (call,) = world.ended
    # Without a gap to say when: the last moment at which it is known to have lived.
    assert (call.disposition, call.ended) == ("unknown", call.started)
    assert not call.complete


def test_a_gap_swallows_the_answer():
    """A call that was answered in a gap has been since the PBX says so, and is not complete."""
    world = World()
    line, leg = ring(world)
    world.wait(2)
    world.blind = True
    world.pbx.connect(leg)
    world.wait(3)
    world.see_again()
    world.pbx.hang_up(line)
    assert told(world) == tidy("""
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 answered by A, waited since 0
        2 ends: answered by caller, NORMAL_CLEARING (incomplete)
        ringing A 0-1, talking A 1-2
    """)


def test_a_gap_swallows_a_transfer():
    """A call that was sent on in a gap goes on with who is there after it."""
    world = World()
    line, _ = talk(world)
    world.blind = True
    (leg,) = world.pbx.transfer(line, world.users[1])
    world.wait(4)
    world.pbx.connect(leg)
    world.wait(4)
    world.see_again([Gap(_moment(world.moments[2]), _moment(world.pbx.now), None)])
    assert list(world.tracker.calls) == [line.uuid]
    world.wait(3)
    world.pbx.hang_up(line)
    assert told(world) == tidy("""
        0 starts: inbound from customer, ringing A
        0 rings at A
        1 answered by A, waited since 0
        3 sent on by A to B
        5 ends: answered by caller, NORMAL_CLEARING (incomplete)
        ringing A 0-1, talking A 1-3, talking B 3-5
    """)


def test_a_gap_swallows_the_beginning():
    """A call that began in a gap is told of after it, and is not complete."""
    world = World()
    world.blind = True
    line, _ = ring(world)
    world.wait(4)
    world.see_again()
    started, rings = world.events
    assert isinstance(started, CallStarted)
    assert isinstance(rings, CallRinging)
    assert started.call.started == world.start
    assert not started.call.complete
    assert list(world.tracker.calls) == [line.uuid]


# == odd and ends ==========================================================================


def channel(uuid, **fields):
    return Channel(uuid=uuid, **fields)


def test_other_kinds_and_nameless_ones_are_no_calls():
    """Changes of other kinds, and of a channel without a uuid, change nothing."""
    tracker = CallTracker()
    line = channel("a", state=Ivr(ts=1))
    assert tracker.apply([Added("channel_waiting", line), Added("channel", channel(None))]) == []
    assert tracker.apply([Removed("channel", line)]) == []
    assert len(tracker.calls) == 0


def test_apply_stepwise():
    """``apply_stepwise`` yields one list per change: together, the events of ``apply``."""
    lines = [channel(name, state=Ivr(ts=number)) for number, name in enumerate("abc")]
    changes = [Added("channel", line) for line in lines]
    changes += [Gap(_moment(0), _moment(0), None), Removed("channel", lines[1])]
    steps = [*CallTracker().apply_stepwise(changes)]
    assert [len(events) for events in steps] == [1, 1, 1, 0, 1]
    assert [event for events in steps for event in events] == CallTracker().apply(changes)


def test_channels_that_say_almost_nothing():
    """A channel without timestamps, state or number is a call all the same."""
    tracker = CallTracker()
    (started,) = tracker.apply([Added("channel", channel("a"))])
    assert (started.call.id, started.call.started, started.call.phase.kind) == ("a", 0, "unknown")
    (ended,) = tracker.apply([Removed("channel", channel("a"))])
    assert (ended.call.disposition, ended.call.ended, ended.call.ended_by) == ("unknown", 0, None)


def test_unpark_by_number_needs_the_slot():
    """A user's call to a number on which nobody stands is a call of its own."""
    tracker = CallTracker()
    parked = channel("a", state=Park(ts=5, slot=901), offer_timestamp=1)
    dials = {"peer_location": "internal", "direction": "inbound", "state": SystemOperation(ts=9)}
    tracker.apply([Added("channel", parked)])
    tracker.apply([Added("channel", channel("b", called_number="902", **dials))])
    tracker.apply([Added("channel", channel("c", called_number="901", **dials))])
    tracker.apply([Added("channel", channel("d", called_number="pickup_uuid.x", **dials))])
    assert set(tracker.calls) == {"a", "b", "d"}


def test_a_direction_that_changes_later_is_told():
    """When only the direction of a call is new, there is an event for it."""
    tracker = CallTracker()
    line = channel("a", state=SystemOperation(ts=1), offer_timestamp=1, user_id=1)
    tracker.apply([Added("channel", line)])
    outward = attrs.evolve(line, called_number="110")
    (event,) = tracker.apply([Changed("channel", outward, line)])
    assert isinstance(event, CallUpdated)
    assert event.call.called_number == "110"


def test_the_directory_s_word_of_a_caller():
    """What the caller directory says, which only other legs tell, is the caller's, and stays."""
    tracker = CallTracker()
    line = channel("a", state=Ivr(ts=1), offer_timestamp=1, peer_location="external")
    info = OtherInfo(type="end_user", whoscall="%7B%7D", offer_timestamp=1, direction="inbound")
    leg = channel(
        "b",
        state=Ringing(ts=2),
        offer_timestamp=2,
        other_uuid="a",
        other_info=info,
        direction="outbound",
    )
    tracker.apply([Added("channel", line)])
    tracker.apply([Added("channel", leg)])
    assert tracker.calls["a"].caller.whoscall == "%7B%7D"
    tracker.apply([Removed("channel", leg)])
    tracker.apply([Changed("channel", attrs.evolve(line, state=Ivr(ts=3, ivr_id=1)), line)])
    assert tracker.calls["a"].caller.whoscall == "%7B%7D"
    said = attrs.evolve(line, extra={"whoscall": "own"})
    tracker.apply([Changed("channel", said, line)])
    assert tracker.calls["a"].caller.whoscall == "own"


def test_an_older_first_leg_that_comes_last():
    """A first leg that is told of late makes its call begin when it was offered."""
    tracker = CallTracker()
    info = OtherInfo(type="end_user", offer_timestamp=10, direction="inbound")
    leg = channel(
        "b",
        state=Bridged(ts=30),
        offer_timestamp=20,
        other_uuid="a",
        other_info=info,
        direction="outbound",
        user_id=7,
    )
    tracker.apply([Added("channel", leg)])
    assert list(tracker.calls) == ["a"]
    line = channel("a", state=Bridged(ts=30), offer_timestamp=10, other_uuid="b")
    tracker.apply([Added("channel", line)])
    assert tracker.calls["a"].started == tracker.calls["a"].phases[0].started == 10
    assert tracker.calls["a"].answered_by == Party(user_id=7)
    tracker.apply([Changed("channel", attrs.evolve(leg, state=Ivr(ts=40)), leg)])
    older = attrs.evolve(line, offer_timestamp=5, state=Ivr(ts=50))
    tracker.apply([Changed("channel", older, line)])
    assert tracker.calls["a"].started == 5


def test_channels_without_a_uuid():
    """Channels that an initial_info sends without a uuid go by their positions, each its own."""
    mirror = Mirror()
    legs = {place: Channel(state=Ivr(ts=5), user_id=place) for place in (0, 1)}
    tracker = CallTracker()
    tracker.apply(mirror.apply(InitialInfo("channel", dict(legs))))
    assert list(tracker.calls) == ["0", "1"]
    assert [leg.party.user_id for call in tracker.calls.values() for leg in call.legs] == [0, 1]
    (ended,) = tracker.apply(mirror.apply(InitialInfo("channel", {0: legs[0]})))
    assert ended.call.id == "1"
    assert list(tracker.calls) == ["0"]


@pytest.mark.parametrize("synthetic", [False, True])
def test_a_leg_offered_at_no_time(synthetic):
    """A zero for the time of its offer says as little as none: its state's time is what counts."""
    tracker = CallTracker()
    leg = Channel(uuid="a", offer_timestamp=0, state=Ivr(ts=5, ivr_id="menu"))
    (started,) = tracker.apply([Added("channel", leg, synthetic=synthetic)])
    assert started.call.started == 5
    tracker.apply([Changed("channel", attrs.evolve(leg, state=Ringing(ts=7)), leg)])
    assert [phase.started for phase in tracker.calls["a"].phases] == [5, 7]


def test_memory_of_one_call_is_bounded(monkeypatch):
    """A call keeps so many legs and phases, the legs that answered longest; and says so."""
    monkeypatch.setattr(active_legs, "MAX_ENDED_LEGS", 3)
    monkeypatch.setattr(phase_history, "MAX_PHASES", 4)
    world = World()
    line, _ = talk(world)
    for number in range(4):
        legs = world.pbx.transfer(line, world.group)
        world.wait(1)
        world.pbx.connect(legs[number])
        world.wait(1)
    world.pbx.transfer(line, world.group)
    for leg in world.pbx.ringing_for(line):
        world.pbx.stop_ringing(leg)
    assert len(world.tracker._index.find(line.uuid).legs.ended_in_phase) == 3
    world.pbx.hang_up(line)
    (call,) = world.ended
    assert len(call.legs) == 3
    assert all(leg.answered is not None for leg in call.legs)
    assert len(call.phases) == 4
    assert call.phases[0].kind == "unknown"
    assert call.phases[0].started == call.started
    assert not call.complete
    assert call.transfers == 5
    assert sum(phase.duration for phase in call.phases) == call.ended - call.started


def test_the_live_mapping():
    """``calls`` is a read-only view of what goes on now, and a tracker can be printed."""
    world = World()
    calls = world.tracker.calls
    line, _ = ring(world)
    assert (len(calls), list(calls), line.uuid in calls) == (1, [line.uuid], True)
    assert repr(calls) == "<1 calls>"
    assert repr(world.tracker) == "<CallTracker of 1 calls>"
    with pytest.raises(KeyError):
        calls["nothing"]
    with pytest.raises(TypeError):
        calls["x"] = None
    for _ in calls:
        world.pbx.hang_up(line)
    assert not calls


def test_an_event_holds_the_call_as_it_was():
    """What an event holds does not change any more."""
    world = World()
    line, leg = ring(world)
    first = world.events[0].call
    before = repr(first)
    world.pbx.connect(leg)
    world.pbx.hang_up(line)
    assert repr(first) == before
    assert isinstance(world.events[-1], CallEnded)


def test_a_tracker_can_be_seeded_from_a_mirror():
    """The channels that are there already are no events, but calls."""
    world = World()
    line, _ = talk(world)
    mirror = Mirror()
    mirror.apply(world.reader.snapshot(world.pbx))
    tracker = CallTracker(mirror.channels.values())
    assert list(tracker.calls) == [line.uuid]
    assert tracker.apply([]) == []


def _moment(microseconds):
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


# == what no PBX should send ===============================================================


ODD = [None, "", [70000], ("a",), 5, 2.5, {"a": 1}, True]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_values_that_make_no_sense(odd):
    """Whatever stands where a uuid, an id or a time should: calls begin, go on and end with it."""
    channels = [
        Channel(uuid="u", other_uuid=odd, offer_timestamp=odd, answer_timestamp=odd),
        Channel(uuid="v", other_uuid=odd, offer_timestamp=5, state=Bridged(ts=odd), user_id=odd),
        Channel(uuid="w", called_number=odd, peer_location="internal", state=Ringing()),
        Channel(uuid=7, state=Bridged(ts=1), other_uuid="u"),
    ]
    tracker = CallTracker()
    events = tracker.apply([Added("channel", one) for one in channels])
    events += tracker.apply([Changed("channel", channels[1], channels[0])])
    assert sum(len(call.legs) for call in tracker.calls.values()) == 4
    gone = [
        attrs.evolve(one, last_event="CHANNEL_HANGUP", hangup_timestamp=odd) for one in channels
    ]
    events += tracker.apply([Removed("channel", one) for one in gone])
    assert dict(tracker.calls) == {}
    count = [sum(isinstance(event, cls) for event in events) for cls in (CallStarted, CallEnded)]
    assert count[0] == count[1] > 0


def test_a_number_for_a_uuid():
    """Two legs whose uuids are numbers name each other as well as any: one call."""
    one, two = Channel(uuid=1, other_uuid=2), Channel(uuid=2, other_uuid=1, state=Bridged(ts=1))
    tracker = CallTracker([one, two])
    (call,) = tracker.calls.values()
    assert [leg.uuid for leg in call.legs] == ["1", "2"]
