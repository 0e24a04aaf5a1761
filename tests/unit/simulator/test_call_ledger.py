"""The PBX's own book of calls: a row for each, from what was done."""

from __future__ import annotations

import attrs
import pytest
from support.feed_follower import Office

from basix_ws_cti.simulator import call_ledger, scenarios
from basix_ws_cti.simulator.call_ledger import Ledger, Row
from basix_ws_cti.simulator.company import DID
from basix_ws_cti.simulator.model import SECOND
from basix_ws_cti.simulator.timeline import Timeline

CUSTOMER = scenarios.CALLERS[0]


def rows(office):
    return list(office.pbx.ledger)


def wait(office, seconds):
    office.pbx.now += seconds * SECOND


def shown(row, *names):
    return tuple(getattr(row, name) for name in names)


def test_a_row_whole():
    """A call through menu, queue, talk, slot and talk again, worked out by hand."""
    office = Office()
    pbx, start = office.pbx, office.pbx.now
    line = office.call(CUSTOMER)
    wait(office, 1)
    legs = pbx.call_group(line, office.group)
    wait(office, 2)
    pbx.connect(legs[1])
    wait(office, 4)
    slot = pbx.park(line)
    wait(office, 8)
    leg = pbx.receive(office.users[3], str(slot))
    pbx.set_state(leg, "system_operation", operation="unpark")
    wait(office, 1)
    pbx.retrieve(leg, line)
    wait(office, 16)
    pbx.hang_up(leg)
    assert rows(office) == [
        Row(
            id=line.uuid,
            direction="inbound",
            started=start,
            answered=start + 3 * SECOND,
            ended=start + 32 * SECOND,
            caller_number=CUSTOMER.number,
            caller_user_id=None,
            called_number=DID,
            answered_by_user_id=office.users[1].id,
            answered_by_number=None,
            disposition="answered",
            abandoned_in=None,
            ended_by="callee",
            cause="NORMAL_CLEARING",
            talking_us=20 * SECOND,
            parked_us=9 * SECOND,
            parks=1,
            transfers=0,
            joined=None,
        )
    ]
    assert not pbx.ledger._call_of


@pytest.mark.parametrize(
    ("story", "expected"),
    {
        "abandoned": ("inbound", "abandoned", "queue", "caller", "NORMAL_CLEARING"),
        "abandoned_ringing": ("inbound", "abandoned", "ringing", "caller", "ORIGINATOR_CANCEL"),
        "after_hours": ("inbound", "abandoned", "ringing", "caller", "NORMAL_CLEARING"),
        "no_answer": ("inbound", "missed", None, "pbx", "NO_ANSWER"),
        "voicemail": ("inbound", "voicemail", None, "caller", "NORMAL_CLEARING"),
        "maximum_duration": ("inbound", "answered", None, "pbx", "ALLOTTED_TIMEOUT"),
        "busy": ("outbound", "busy", None, "callee", "USER_BUSY"),
        "rejected": ("outbound", "rejected", None, "callee", "CALL_REJECTED"),
        "unreachable": ("outbound", "failed", None, "callee", "NO_USER_RESPONSE"),
        "click_to_call": ("outbound", "answered", None, "callee", "NORMAL_CLEARING"),
        "checking_voicemail": ("internal", "answered", None, "caller", "NORMAL_CLEARING"),
    }.items(),
)
def test_how_stories_end(story, expected):
    """A story's row says which way the call went, how, and who ended it."""
    office = Office()
    timeline = Timeline(office.pbx)
    timeline.start(scenarios.SCENARIOS[story](office.pbx))
    while timeline.time_to_next is not None:
        timeline.step()
    (row,) = rows(office)
    names = ("direction", "disposition", "abandoned_in", "ended_by", "cause")
    assert shown(row, *names) == expected


def test_abandoned_in_the_menu():
    """Who hangs up in the menu gave up there, though the PBX had answered."""
    office = Office()
    line = office.call()
    office.pbx.answer(line)
    office.pbx.hang_up(line)
    assert shown(rows(office)[0], "disposition", "abandoned_in", "answered") == (
        "abandoned",
        "ivr",
        None,
    )


def test_transfers():
    """Sent on unannounced, and handed over: two transfers, and the talk goes on."""
    office = Office()
    pbx = office.pbx
    line, _ = office.talk(0)
    wait(office, 5)
    (leg,) = pbx.transfer(line, office.users[1])
    wait(office, 2)
    pbx.connect(leg)
    asking = pbx.receive(office.users[1], "1003")
    wait(office, 3)
    asked = pbx.call_user(asking, office.users[2])
    pbx.connect(asked)
    wait(office, 4)
    pbx.attended_transfer(line, asked)
    wait(office, 6)
    pbx.hang_up(asked)
    joined, row = rows(office)
    names = ("id", "joined", "disposition", "ended_by", "talking_us", "transfers")
    assert shown(joined, *names) == (asking.uuid, line.uuid, "answered", None, 4 * SECOND, 0)
    assert shown(row, *names) == (line.uuid, None, "answered", "callee", 18 * SECOND, 2)


def test_a_ring_back_is_no_transfer():
    """Nobody hands over a call that rings back from its slot."""
    office = Office()
    line, _ = office.talk(0)
    office.pbx.park(line)
    wait(office, 30)
    office.pbx.transfer(line, office.users[0])
    wait(office, 5)
    office.pbx.hang_up(line)
    assert shown(rows(office)[0], "transfers", "parks", "parked_us") == (0, 1, 30 * SECOND)


def test_a_caller_who_leaves_the_slot():
    """A parked caller who hangs up ends the call; who came to fetch them has one of their own."""
    office = Office()
    pbx = office.pbx
    line, _ = office.talk(0)
    slot = pbx.park(line)
    wait(office, 7)
    leg = pbx.receive(office.users[1], str(slot))
    pbx.set_state(leg, "system_operation", operation="unpark")
    pbx.hang_up(line)
    wait(office, 1)
    pbx.hang_up(leg)
    parked, guest = rows(office)
    assert shown(parked, "id", "parked_us", "ended_by") == (line.uuid, 7 * SECOND, "caller")
    assert shown(guest, "id", "disposition", "caller_user_id") == (
        leg.uuid,
        "answered",
        office.users[1].id,
    )


def test_a_restart():
    """Calls that are lost without a word ended then, and nobody knows how."""
    office = Office()
    line, _ = office.talk(0)
    other, _ = office.talk(1)
    office.pbx.park(other)
    wait(office, 5)
    office.pbx.drop_channels()
    first, second = rows(office)
    names = ("id", "disposition", "ended_by", "cause", "talking_us", "parked_us")
    assert shown(first, *names) == (line.uuid, "answered", None, None, 5 * SECOND, 0)
    assert shown(second, *names) == (other.uuid, "answered", None, None, 0, 5 * SECOND)
    line = office.call()
    office.pbx.drop_channels()
    assert shown(rows(office)[2], "id", "disposition") == (line.uuid, "unknown")
    assert not office.pbx.ledger._call_of


def test_the_book_is_bounded():
    """The book keeps so many rows, the newest."""
    assert Ledger()._rows.maxlen == call_ledger.MAX_ROWS == 20_000
    office = Office()
    office.pbx.ledger._rows = type(office.pbx.ledger._rows)(maxlen=2)
    lines = [office.call() for _ in range(3)]
    for line in lines:
        office.pbx.hang_up(line)
    assert [row.id for row in office.pbx.ledger] == [line.uuid for line in lines[1:]]
    assert len(office.pbx.ledger) == 2


def test_rows_do_not_change():
    """A row is immutable, and a list of rows is of a moment."""
    office = Office()
    office.pbx.hang_up(office.call())
    book = iter(office.pbx.ledger)
    office.pbx.hang_up(office.call())
    assert len(list(book)) == 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        rows(office)[0].ended = 0
