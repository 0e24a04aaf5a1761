"""Alerts of a client: events, timers, lost feeds and subscribers, on a virtual clock."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest
from support.fake_pbx import FakePbx
from support.virtual_clock import VirtualUnixTime, now, on_virtual_clock

from basix_ws_cti import AlertRule, Channel, Group, InfoEvent, UsageError
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.client.client import Client
from basix_ws_cti.states import Calling, Ivr

SECOND = 1_000_000


class QueuePbx(FakePbx):
    """Fake PBX with a sales queue, whose clock is ``ahead`` seconds ahead of the machine's."""

    def __init__(self, ahead=0.0, default=None):
        super().__init__(default)
        self.ahead = ahead
        self.unix_time = VirtualUnixTime()
        self.state = {"group": {3: Group(id=3, name="sales")}, "channel": {}}
        self.history = [self.state]

    def client(self, **options):
        return Client(
            "fake",
            connector=self,
            unix_time=self.unix_time,
            backoff=Backoff(initial=1, maximum=1),
            **options,
        )

    def start(self, uuid):
        """Let a call begin in a menu."""
        self._set(uuid, Ivr(ts=self.time))

    def wait(self, uuid):
        """Let a call enter the queue."""
        self._set(uuid, Calling(ts=self.time, target_type="group", group_id=3))

    @property
    def time(self):
        return round((self.unix_time() + self.ahead) * SECOND)

    def _set(self, uuid, state):
        legs = self.state["channel"]
        leg = Channel(uuid=uuid, state=state, direction="inbound", offer_timestamp=self.time)
        self.replace("channel", {**legs, uuid: leg}, (leg, "updated" if uuid in legs else "added"))


def record(client, rule):
    """Return a list of the alerts of a rule: second, state and value."""
    alerts = []
    client.on_alert(
        rule, lambda one: alerts.append((round(now(), 2), one.state, round(one.value, 1)))
    )
    return alerts


@on_virtual_clock
async def test_wait_raises_an_alert_at_its_limit_without_an_event():
    pbx = QueuePbx()
    client = pbx.client()
    alerts = record(client, "longest-wait>60@sales")
    async with client:
        await client.synced(10)
        await asyncio.sleep(10 - now())
        pbx.wait("a")
        await asyncio.sleep(69 - now())
        assert alerts == []
        await asyncio.sleep(200)
        assert alerts == [(70.0, "raised", 60.0)]
        pbx.hang_up("a")
        await asyncio.sleep(1)
        assert alerts[1:] == [(269.0, "ended", 0.0)]


@pytest.mark.parametrize("ahead", [7200, -7200])
@on_virtual_clock
async def test_wait_is_measured_by_the_clock_of_the_pbx(ahead):
    """The difference of the clocks is known from the second event of a call on."""
    pbx = QueuePbx(ahead)
    client = pbx.client()
    alerts = record(client, "longest-wait>60")
    async with client:
        await client.synced(10)
        pbx.start("a")
        await asyncio.sleep(20 - now())
        pbx.wait("a")
        await asyncio.sleep(100)
    assert alerts == [(80.0, "raised", 60.0)]


@on_virtual_clock
async def test_first_event_shows_a_clock_that_is_ahead():
    pbx = QueuePbx(7200)
    client = pbx.client()
    alerts = record(client, "longest-wait>60")
    async with client:
        await client.synced(10)
        await asyncio.sleep(20 - now())
        pbx.wait("a")
        await asyncio.sleep(100)
    assert alerts == [(80.0, "raised", 60.0)]


@on_virtual_clock
async def test_alert_of_a_faster_clock_that_is_given():
    pbx = QueuePbx()
    client = pbx.client(pbx_time=lambda: pbx.unix_time.START + 10 * now())
    alerts = record(client, "longest-wait>60")
    async with client:
        await client.synced(10)
        await asyncio.sleep(1 - now())
        pbx.unix_time.shift = 9.0  # the PBX's clock shows 10 s
        pbx.wait("a")
        await asyncio.sleep(20)
    (alert,) = alerts
    assert alert[1:] == ("raised", 60.0)
    assert 7.0 <= alert[0] <= 7.2


@pytest.mark.slow
@on_virtual_clock
async def test_lost_feed_raises_an_alert_and_nothing_else_does():
    pbx = QueuePbx()
    client = pbx.client()
    waits = record(client, "longest-wait>60")
    losses = record(client, "feed-lost>30s")
    async with client:
        await client.synced(10)
        pbx.wait("a")
        await asyncio.sleep(20 - now())
        pbx.default = OSError("no route")
        pbx.lose()
        await asyncio.sleep(100 - now())
        assert waits == []
        assert losses == [(50.0, "raised", 30.0)]
        pbx.default = None
        await asyncio.sleep(10)
        (_, _, _), (ended, state, value) = losses
        assert (state, value) == ("ended", 0.0)
        assert 100 < ended < 110
        assert [(ended, "raised")] == [one[:2] for one in waits]


@pytest.mark.slow
@on_virtual_clock
async def test_feed_that_never_begins_counts_as_lost():
    pbx = QueuePbx(default=OSError("no route"))
    client = pbx.client()
    losses = record(client, "feed-lost>30s")
    async with client:
        await asyncio.sleep(40)
    assert losses == [(30.0, "raised", 30.0)]


@on_virtual_clock
async def test_calls_of_a_gap_raise_nothing_unless_they_still_wait():
    pbx = QueuePbx()
    client = pbx.client()
    alerts = record(client, "waiting>1")
    async with client:
        await client.synced(10)
        pbx.wait("a")
        pbx.wait("b")
        await asyncio.sleep(5)
        assert [one[1] for one in alerts] == ["raised"]
        pbx.lose(cut=True)
        await asyncio.sleep(0.1)
        for uuid in "ab":
            pbx.hang_up(uuid)
        for uuid in "cde":
            pbx.wait(uuid)
        await asyncio.sleep(10)
        assert client.is_synced
        assert [one[1] for one in alerts] == ["raised"]
        pbx.lose(cut=True)
        await asyncio.sleep(0.1)
        for uuid in "cd":
            pbx.hang_up(uuid)
        pbx.hang_up("e")
        await asyncio.sleep(10)
        assert [one[1:] for one in alerts] == [("raised", 2), ("ended", 0)]


@on_virtual_clock
async def test_late_subscriber_receives_an_alert_that_holds():
    pbx = QueuePbx()
    async with pbx.client() as client:
        await client.synced(10)
        pbx.wait("a")
        await asyncio.sleep(1)
        first = record(client, "waiting>0")
        await asyncio.sleep(1)
        second = record(client, AlertRule("waiting", 0))
        awaited = []

        async def receive(alert):
            await asyncio.sleep(0)
            awaited.append(alert)

        stop = client.on_alert("waiting>0", receive)
        assert second == []
        await asyncio.sleep(1)
        assert [one[1] for one in first] == [one[1] for one in second] == ["raised"]
        assert [one.state for one in awaited] == ["raised"]
        stop()
        stop()
        pbx.hang_up("a")
        await asyncio.sleep(1)
        assert [one[1] for one in first] == [one[1] for one in second] == ["raised", "ended"]
        assert [one.state for one in awaited] == ["raised"]


@on_virtual_clock
async def test_alert_that_begins_while_a_callback_is_registered_is_reported_once():
    """An alert may begin before the callback's first turn."""
    pbx = QueuePbx()
    async with pbx.client() as client:
        await client.synced(10)
        alerts = []

        def register(event):
            if not alerts:
                client.on_alert("waiting>0", lambda one: alerts.append(one.state))
                client.on_alert("waiting>1", lambda one: alerts.append(one.state))

        stop = client.on_call(register)
        pbx.wait("a")
        await asyncio.sleep(1)
        stop()
        assert alerts == ["raised"]
        pbx.hang_up("a")
        await asyncio.sleep(1)
    assert alerts == ["raised", "ended"]


@on_virtual_clock
async def test_unknown_queue_is_reported_once():
    pbx = QueuePbx()
    client = pbx.client()
    errors, alerts = [], record(client, "waiting>0@nobody")
    client.on_error(errors.append)
    async with client:
        await client.synced(10)
        pbx.wait("a")
        await asyncio.sleep(5)
    assert alerts == []
    assert [(type(one), str(one)) for one in errors] == [
        (UsageError, "alert rule 'waiting>0@nobody': the PBX has no queue with this id or name")
    ]


@on_virtual_clock
async def test_failing_callback_affects_no_other():
    pbx = QueuePbx()
    client = pbx.client()
    errors = []
    client.on_alert("waiting>0", lambda alert: 1 / 0)
    client.on_error(errors.append)
    alerts = record(client, "waiting>0")
    async with client:
        await client.synced(10)
        pbx.wait("a")
        await asyncio.sleep(1)
    assert [one[1] for one in alerts] == ["raised"]
    assert [type(one) for one in errors] == [ZeroDivisionError]


@on_virtual_clock
async def test_client_without_waiting_calls_sets_no_timer():
    pbx = QueuePbx()
    client = pbx.client()
    for rule in ("longest-wait>60", "waiting>5", "service-level<80%", "feed-lost>30s"):
        record(client, rule)
    async with client:
        await client.synced(10)
        pbx.send(InfoEvent("group", Group(id=4, name="x"), "added"))
        await asyncio.sleep(5)
        timers = [
            one
            for one in asyncio.get_running_loop()._scheduled  # noqa: SLF001
            if not one.cancelled() and "AlertWatch" in repr(one)
        ]
    assert timers == []


def test_rule_that_cannot_work_is_refused_at_once():
    client = QueuePbx().client()
    with pytest.raises(UsageError, match="column 1: unknown figure"):
        client.on_alert("waitings>5", print)


@pytest.mark.slow
def test_unregistered_alerts_leave_no_memory_behind():
    client, rule = QueuePbx().client(), AlertRule.parse("feed-lost>30s")
    tracemalloc.start()
    try:
        sizes = []
        for number in (10, 100):
            for _ in range(number):
                client.on_alert(rule, lambda _: None)()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[1] - sizes[0] < 5_000


@on_virtual_clock
async def test_client_that_stops_during_a_wait_raises_no_alert():
    pbx = QueuePbx()
    client = pbx.client()
    alerts = record(client, "longest-wait>60@sales")
    async with client:
        await client.synced(10)
        pbx.wait("a")
        await asyncio.sleep(10)
    await asyncio.sleep(100)
    assert alerts == []


@on_virtual_clock
async def test_callback_that_is_unregistered_at_once_receives_no_alert():
    """The alert holds already when the callback is registered."""
    pbx = QueuePbx()
    async with pbx.client() as client:
        await client.synced(10)
        alerts = record(client, "longest-wait>60@sales")
        pbx.wait("a")
        await asyncio.sleep(70)
        received = []
        remove = client.on_alert("longest-wait>60@sales", received.append)
        remove()
        await asyncio.sleep(10)
    assert [state for _, state, _ in alerts] == ["raised"]
    assert received == []
