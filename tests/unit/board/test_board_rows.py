"""Rows of the board's tables, and the search in them."""

from __future__ import annotations

from datetime import UTC

import pytest
from support.staged_simulator import PICTURES, quiet, talk

from basix_ws_cti import Mirror, Synced
from basix_ws_cti.board.feed_history import FeedHistory
from basix_ws_cti.board.model import BoardModel
from basix_ws_cti.board.sorting import arrange
from basix_ws_cti.board.tables import TABLES
from basix_ws_cti.elements import Channel, GroupMember, ParkedChannel, Terminal, User
from basix_ws_cti.messages import InfoEvent
from basix_ws_cti.simulator import Person
from basix_ws_cti.states import Calling, Park


def rows_of(source, table, history=None):
    """Return the texts of a table's rows."""
    rows = BoardModel(source, history or FeedHistory(source.now), UTC).build_board().rows[table]
    return [[cell.text for cell in row.cells] for row in rows]


def test_call_row_has_direction_state_durations_and_parties():
    staged = quiet()
    talk(staged, "0699990000")
    staged.advance(75)
    assert rows_of(staged, "calls") == [
        ["in", "talking", "1:15", "0699990000", "佐藤 健", "", "0501234567", "1:15"]
    ]


def test_busy_users_come_first_and_unreachable_users_are_marked():
    staged = quiet(users=3)
    talk(staged, "0699990000", by=2)
    staged.advance(5)
    pbx = staged.pbx
    pbx.call_user(pbx.receive(Person("0688880000"), "0501234567"), list(pbx.users.values())[1])
    pbx.edit(next(iter(pbx.terminals.values())), registered=0)
    assert rows_of(staged, "users") == [
        ["高橋 一郎", "1003", "with 0699990000", "0:05", "1", "0"],
        ["鈴木 花子", "1002", "ringing: 0688880000", "0:00", "0", "0"],
        ["佐藤 健", "1001", "no phone", "", "0", "0"],
    ]


def test_queue_row_has_waits_and_figures_and_slot_row_has_parties():
    staged = quiet()
    group = next(iter(staged.pbx.groups.values()))
    parked = talk(staged, "0699990000")
    slot = staged.pbx.park(parked)
    caller_legs = []
    for number in ("0611110000", "0622220000"):
        caller_legs.append(staged.pbx.receive(Person(number), "0501234567"))
        staged.pbx.call_group(caller_legs[-1], group)
        staged.advance(10)
    board_model = BoardModel(staged, FeedHistory(staged.now))
    assert rows_of(staged, "queues") == [["サポート", "2", "0:20", "2", "0", "0", "", ""]]
    assert rows_of(staged, "parked") == [[str(slot), "0699990000", "佐藤 健", "0:20"]]
    staged.pbx.hang_up(caller_legs[0])
    while not staged.events.empty():
        board_model.apply(staged.events.get_nowait())
    row = board_model.build_board().rows["queues"][0]
    assert [cell.text for cell in row.cells] == ["サポート", "1", "0:10", "2", "0", "1", "0%", ""]


def test_waiting_channels_of_every_kind_are_counted_once():
    """Newer and older servers use different kinds of elements for queued and parked channels."""
    mirror = Mirror()
    for event in (
        InfoEvent(
            "queued_channel", _waits("a", Calling(ts=0, target_type="group", group_id=7)), "added"
        ),
        InfoEvent("parked_channel", _waits("b", Park(ts=0, slot=901)), "added"),
        InfoEvent("channel", Channel(uuid="b", state=Park(ts=0, slot=901)), "added"),
    ):
        mirror.apply(event)
    source = _MirrorSource(mirror)
    assert [row[:2] for row in rows_of(source, "queues")] == [["group 7", "1"]]
    assert [row[0] for row in rows_of(source, "parked")] == ["901"]


def _waits(uuid, state):
    return ParkedChannel(uuid=uuid, state=state, peer_number="0699990000")


class _MirrorSource:
    """Source that consists of a mirror without calls."""

    def __init__(self, mirror):
        self.mirror = mirror
        self.calls = {}
        self.state = Synced()
        self.now = quiet().now


def test_ids_of_unexpected_types_still_give_rows_with_unique_keys():
    mirror = Mirror()
    for number, value in enumerate(([], {}, None, 1.5, "x", (1, 2))):
        state = Calling(ts="soon", target_type="group", group_id=value)
        for element in (
            Channel(uuid=f"c{number}", user_id=value, state=state, called_number=value),
            Channel(
                uuid=f"p{number}", user_id=value, state=Park(ts=None, slot=value, parker_id=value)
            ),
            User(id=number, label=value, main_extension=value),
            Terminal(id=number, assoc_user_id=value, registered=1),
            GroupMember(id=number, user_id=value, group_id=value),
        ):
            mirror.apply(InfoEvent(element.element_name, element, "added"))
    rows = BoardModel(_MirrorSource(mirror), FeedHistory()).build_board().rows
    assert len(rows["users"]) == len(rows["parked"]) == 6
    for table in rows.values():
        assert len({row.key for row in table}) == len(table)
        for row in table:
            assert all(isinstance(cell.text, str) for cell in row.cells)
    for name, table in TABLES.items():
        for at in range(len(table)):
            assert len(arrange(rows[name], "", at)) == len(rows[name])


@pytest.mark.parametrize(
    "query",
    [
        "山田",
        "0312341234",
        "03-1234-1234",
        "\uff10\uff13\uff11\uff12",
        "(03) 1234",
        "+81312341234",
        "+81 3 1234",
        "sip:0312341234@pbx.example",
        "佐藤",
        "1001",
        "USER1",
    ],
)
def test_row_is_found_by_names_and_numbers_of_both_parties(query):
    staged = quiet()
    user = next(iter(staged.pbx.users.values()))
    caller_leg = staged.pbx.receive(PICTURES.scenarios.CALLERS[0], "0501234567")
    staged.pbx.connect(staged.pbx.call_user(caller_leg, user))
    talk(staged, "0699990000", by=1)
    rows = BoardModel(staged, FeedHistory()).build_board().rows["calls"]
    assert [row.key for row in arrange(rows, query)] == [caller_leg.uuid]
    assert arrange(rows, "nobody") == []
