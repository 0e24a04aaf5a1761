"""State documents: figures, tables, levels, filters, masks, and the updates between them."""

from __future__ import annotations

import pytest
from support.staged_simulator import PICTURES, quiet, talk
from support.staged_wallboard import document_of, take_events, wallboard_of
from support.web_frames import apply_frame, parse_frames

from basix_ws_cti import Connecting, ConnectionLost, Disconnected, Stopped
from basix_ws_cti.board.feed_history import FeedHistory
from basix_ws_cti.board.model import BoardModel
from basix_ws_cti.calls import QueueStats
from basix_ws_cti.simulator import Person
from basix_ws_cti.web.view_key import Selection, ViewKey


def queue_call(staged, number="0611110000", group=0):
    """Start a call that waits in a queue, and return the caller's channel."""
    line = staged.pbx.receive(Person(number), "0501234567")
    staged.pbx.call_group(line, list(staged.pbx.groups.values())[group])
    return line


async def test_a_call_waits_talks_and_ends():
    staged = quiet()
    wallboard = wallboard_of(staged)
    group = str(next(iter(staged.pbx.groups)))
    staged.advance(5)
    started = int(staged.now().timestamp() * 1000)
    line = queue_call(staged)
    staged.advance(10)
    take_events(wallboard, staged)
    waiting = document_of(wallboard)
    (call,) = waiting["calls"].values()
    assert waiting["figures"]["waiting"]["value"] == 1
    assert waiting["figures"]["longest_wait"]["since"] == started
    assert waiting["queues"][group]["waiters"] == [
        {"since": started, "name": "0611110000", "call": line.uuid}
    ]
    assert (call["queue"], call["started"], call["phases"][-1]["kind"]) == (
        group,
        started,
        "queued",
    )

    staged.pbx.connect(staged.pbx.ringing_for(line)[0])
    take_events(wallboard, staged)
    talking = document_of(wallboard)
    (agent,) = [one for one in talking["agents"].values() if one["state"] == "talking"]
    assert agent["with"] == "0611110000"
    assert agent["call"] == line.uuid
    assert agent["since"] == started + 10_000
    assert talking["figures"]["talking"]["value"] == 1
    assert talking["figures"]["service_level"]["value"] == 1
    assert talking["figures"]["average_answer"]["value"] == 10

    staged.pbx.hang_up(line)
    take_events(wallboard, staged)
    ended = document_of(wallboard)
    assert ended["calls"] == {}
    assert ended["figures"]["answered"]["value"] == 1
    fresh = document_of(wallboard, ViewKey(language="ja"))
    quarter = started // 900_000 * 900_000
    assert fresh["day"] == [{"start": quarter, "offered": 1, "answered": 1, "abandoned": 0}]


async def test_an_agent_with_two_memberships_is_listed_once():
    staged = quiet()
    wallboard = wallboard_of(staged)
    group, user = next(iter(staged.pbx.groups.values())), next(iter(staged.pbx.users.values()))
    before = document_of(wallboard)
    staged.pbx.add_member(user, group)
    take_events(wallboard, staged)
    after = document_of(wallboard)
    assert after["queues"][str(group.id)]["agents"] == before["queues"][str(group.id)]["agents"]
    assert after["agents"][str(user.id)]["queues"] == before["agents"][str(user.id)]["queues"]


@pytest.mark.slow
async def test_figures_equal_those_of_the_terminal_wallboard():
    staged = PICTURES.busy()
    wallboard = wallboard_of(staged)
    terminal = BoardModel(
        staged, FeedHistory(staged.now), stats=QueueStats(since_midnight=wallboard.zone)
    )
    for _ in range(20):
        staged.advance(15)
        while not staged.events.empty():
            event = staged.events.get_nowait()
            terminal.apply(event)
            wallboard.model.apply(event)
    wallboard.draw()
    shown = document_of(wallboard)["figures"]
    expected = {figure.name: figure for figure in terminal.build_board().figures}
    for name in ("waiting", "talking", "free", "service_level", "abandoned"):
        assert shown[name]["value"] == expected[name].number, name
    assert f"{shown['answered']['value']}/{shown['offered']['value']}" == expected["answered"].text
    assert shown["offered"]["value"] > 3


@pytest.mark.slow
async def test_updates_lead_to_the_same_document_as_a_snapshot():
    staged = PICTURES.busy()
    wallboard = wallboard_of(staged)
    view = wallboard.view(ViewKey())
    mailbox = view.follow(wallboard.time())
    document = None
    for step in range(40):
        staged.advance(7)
        take_events(wallboard, staged)
        if step % 9 == 0:
            view.beat(wallboard.time())
        for _id, event, content in parse_frames(await mailbox.take()):
            document = apply_frame(document, event, content)
    expected = document_of(wallboard)
    assert {**document, "time": expected["time"]} == expected
    assert document["seq"] > 30


async def test_nothing_is_sent_while_nothing_changes():
    staged = quiet()
    wallboard = wallboard_of(staged)
    talk(staged)
    take_events(wallboard, staged)
    view = wallboard.view(ViewKey())
    before = view.seq
    for _ in range(5):
        staged.advance(3)
        wallboard.draw()
    assert view.seq == before


async def test_a_level_rises_at_its_limit_without_an_event():
    staged = quiet()
    wallboard = wallboard_of(staged)
    group = str(next(iter(staged.pbx.groups)))
    queue_call(staged)
    levels = []
    for seconds in (59, 1, 59, 1):
        staged.advance(seconds)
        take_events(wallboard, staged)
        document = document_of(wallboard)
        levels.append(
            (
                document["figures"]["longest_wait"]["level"],
                document["queues"][group]["levels"]["longest_wait"],
            )
        )
    assert levels == [(one, one) for one in ("ok", "warning", "warning", "alarm")]


async def test_a_document_before_the_first_snapshot_has_no_figures():
    staged = quiet()
    staged.state = Connecting(1)
    wallboard = wallboard_of(staged)
    document = document_of(wallboard)
    assert document["feed"]["state"] == "connecting"
    assert not document["feed"]["was_live"]
    for name in ("figures", "queues", "agents", "calls", "parked", "day"):
        assert len(document[name]) == 0, name


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (Disconnected(ConnectionLost(1006), 2.0), "lost"),
        (Stopped(None), "ended"),
        (Stopped(ConnectionLost(1006)), "stopped"),
    ],
)
async def test_a_lost_feed_keeps_its_values_and_says_since_when(state, name):
    staged = quiet()
    wallboard = wallboard_of(staged)
    queue_call(staged)
    take_events(wallboard, staged)
    live = document_of(wallboard)
    staged.advance(50)
    staged.state = state
    lost_at = int(staged.now().timestamp() * 1000)
    wallboard.draw()
    staged.advance(200)
    wallboard.draw()
    stale = document_of(wallboard)
    assert (stale["feed"]["state"], stale["feed"]["since"]) == (name, lost_at)
    assert not stale["feed"]["live"]
    assert stale["calls"].keys() == live["calls"].keys()
    assert stale["figures"]["longest_wait"]["level"] == "ok"
    assert stale["time"] == lost_at + 200_000


async def test_a_filter_shows_a_team_and_its_own_figures():
    staged = PICTURES.Staged(rate=0, users=24)
    wallboard = wallboard_of(staged)
    first, second = map(str, list(staged.pbx.groups)[:2])
    queue_call(staged, "0611110000", 0)
    queue_call(staged, "0622220000", 1)
    take_events(wallboard, staged)
    everything = document_of(wallboard)
    team = document_of(wallboard, ViewKey(Selection.of([second], [])))
    assert everything["figures"]["waiting"]["value"] == 2
    assert {*team["queues"]} == {second}
    assert team["figures"]["waiting"]["value"] == 1
    assert [call["caller"] for call in team["calls"].values()] == ["0622220000"]
    assert all(second in agent["queues"] for agent in team["agents"].values())
    assert first in everything["queues"]


@pytest.mark.slow
async def test_a_bound_view_shows_nothing_beyond_its_bound():
    staged = PICTURES.busy()
    wallboard = wallboard_of(staged)
    staged.advance(300)
    take_events(wallboard, staged)
    first, second = map(str, list(staged.pbx.groups)[:2])
    agents = document_of(wallboard)["agents"]
    outsider = next(key for key, row in agents.items() if second not in row["queues"])
    insider = next(key for key, row in agents.items() if second in row["queues"])
    for queues, users in ([], []), ([first], []), ([], [outsider]), ([first], [insider, outsider]):
        key = ViewKey(Selection.of(queues, users), bound=Selection.of([second], []))
        shown = document_of(wallboard, key)
        assert {*shown["queues"]} <= {second}
        assert all(second in agent["queues"] for agent in shown["agents"].values())
        assert outsider not in shown["agents"]
    assert insider in shown["agents"]


async def test_masked_documents_have_no_whole_number():
    staged = quiet()
    wallboard = wallboard_of(staged)
    queue_call(staged, "0611110000")
    talk(staged, "0312341234")
    take_events(wallboard, staged)
    view = wallboard.view(ViewKey(is_masked=True))
    text = view.snapshot(wallboard.time()).decode()
    assert "…000" in text
    assert "…234" in text
    assert "0611110000" not in text
    assert "0312341234" not in text


async def test_texts_are_in_the_language_of_the_view():
    staged = quiet()
    wallboard = wallboard_of(staged)
    queue_call(staged)
    take_events(wallboard, staged)
    english = document_of(wallboard)
    japanese = document_of(wallboard, ViewKey(language="ja"))
    assert english["feed"]["text"] == "live"
    assert japanese["feed"]["text"] != "live"


@pytest.mark.slow
async def test_views_that_nobody_looks_at_are_forgotten_and_bounded(monkeypatch):
    staged = quiet()
    wallboard = wallboard_of(staged)
    for number in range(200):
        assert wallboard.view(ViewKey(Selection.of([str(number)], []))) is not None
    assert wallboard.view(ViewKey(Selection.of(["one more"], []))) is None
    monkeypatch.setattr("basix_ws_cti.web.wallboard.UNUSED_TIME", -1)
    assert wallboard.view(ViewKey(Selection.of(["one more"], []))) is not None
