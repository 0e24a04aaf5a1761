"""Alerts of a recorded day, compared with those computed from the ledger of the simulated PBX."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from attrs import define

from basix_ws_cti import AlertRule
from basix_ws_cti.recording import Connected, Frame, Lost, Recorder, read_recording
from basix_ws_cti.session.status import Disconnected, Synced
from basix_ws_cti.simulator import Pbx, scenarios
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.timeline import Timeline
from basix_ws_cti.sources.recorded import RecordedSource
from basix_ws_cti.sources.recorded_alerts import RecordedAlerts

SECOND = 1_000_000

RULES = [
    "longest-wait>20s",
    "longest-wait>12s,end=12s",
    "longest-wait>15s@{group}",
    "waiting>2",
    "waiting>0@{group}",
    "waiting>3,end=1",
    "service-level<65%,within=10s,window=10m",
    "service-level<60%,end=75%,within=8s,window=20m,calls=5@{group}",
]


class Day:
    """Recording of a day of a simulated PBX, without the feed between two times in seconds."""

    def __init__(self, seed, seconds, lost=None):
        self.pbx = Pbx(seed)
        scenarios.populate(self.pbx, 50)
        self.start = self.pbx.now
        self._lost = lost
        self._writer = Writer()
        self._target = io.StringIO()
        self._recorder = Recorder(
            self._target,
            started=datetime.fromtimestamp(0, UTC) + timedelta(microseconds=self.start),
            clock=lambda: 0.0,
        )
        self._is_connected = False
        self._connect()
        self.pbx.listeners.append(self._record)
        timeline = Timeline(self.pbx)
        timeline.start(scenarios.day(self.pbx, timeline, 9))
        while self.pbx.now < self.start + seconds * SECOND:
            timeline.step()
            self._lose_and_reconnect()
        while self.pbx.channels:
            self.pbx.now += SECOND
            self.pbx.hang_up(next(iter(self.pbx.channels.values())))

    @property
    def _at(self):
        return (self.pbx.now - self.start) / SECOND

    def _connect(self):
        self._is_connected = True
        self._recorder.write(Connected(self._at))
        for kind, elements in self.pbx.snapshot().items():
            records = [self._writer.record(kind, values) for values in elements.values()]
            self._recorder.write(Frame(self._at, self._writer.field_spec(kind)))
            self._recorder.write(Frame(self._at, self._writer.initial_info(kind, records)))

    def _record(self, kind, key, values, event_name):
        if self._is_connected:
            record = self._writer.record(kind, values)
            frame = self._writer.info_event(kind, record, event_name)
            self._recorder.write(Frame(self._at, frame))

    def _lose_and_reconnect(self):
        if self._lost is None:
            return
        since, until = self._lost
        if self._is_connected and since <= self._at < until:
            self._is_connected = False
            self._recorder.write(Lost(self._at, "ConnectionLost", "test", None))
        elif not self._is_connected and self._at >= until:
            self._connect()

    def open(self, on_notice):
        """Return a source that plays the recording."""
        self._recorder.close()
        recording = read_recording(io.BytesIO(self._target.getvalue().encode()))
        return RecordedSource(recording, speed=None, on_notice=on_notice)


@define
class Expected:
    """Alerts that follow from the waits in the ledger of a PBX, computed time by time."""

    waits: list
    live: list

    def alerts(self, rule, group_id):
        waits = [one for one in self.waits if group_id in {None, one.group_id}]
        raised, found = False, []
        for time in self._times(rule, waits):
            if not self._is_live(time):
                continue
            value = self._value(rule, waits, time)
            if not raised and value is not None and rule.is_beyond_limit(value):
                raised = True
                found.append(("raised", time, value))
            elif raised and (value is None or rule.is_at_end(value)):
                raised = False
                found.append(("ended", time, value))
        return found

    def _times(self, rule, waits):
        """Return the times at which the figure may begin to meet a limit."""
        times = {since for since, _ in self.live}
        for wait in waits:
            times |= {wait.entered, wait.left}
            if rule.figure == "longest_wait":
                times.add(wait.entered + round(rule.limit * SECOND) + 1)
            if rule.figure == "service_level":
                times.add(wait.left + round(rule.window * SECOND) + 1)
        return sorted(times)

    def _is_live(self, time):
        return any(since <= time < until for since, until in self.live)

    def _value(self, rule, waits, time):
        if rule.figure == "service_level":
            ended = [one for one in waits if one.left <= time <= one.left + rule.window * SECOND]
            answered = [
                one
                for one in ended
                if one.result == "answered" and one.waited_us <= rule.within * SECOND
            ]
            return len(answered) / len(ended) if len(ended) >= rule.min_calls else None
        waiting = [one.entered for one in waits if one.entered <= time < one.left]
        if rule.figure == "waiting":
            return len(waiting)
        return (time - min(waiting, default=time)) / SECOND


async def play(day, texts):
    """Return the alerts of each rule, and the times at which the feed was current."""
    live = []

    def on_notice(notice):
        at = round(source.now().timestamp() * SECOND)
        if isinstance(notice, Synced):
            live.append([at, day.pbx.now + 1])
        elif isinstance(notice, Disconnected):
            live[-1][1] = at

    source = day.open(on_notice)
    alerts = {}
    for text in texts:
        received = alerts[text] = []
        source.on_alert(AlertRule.parse(text), received.append)
    await source.read_to_end()
    source.check()
    return alerts, live


def check_day(day, rules):
    """Check the alerts of a day; return their numbers by figure."""
    waits = [one for one in day.pbx.ledger.waits if one.purpose == "call"]
    group_id = waits[0].group_id
    alerts, live = asyncio.run(play(day, [rule.format(group=group_id) for rule in rules]))
    numbers = Counter()
    for text, received in alerts.items():
        rule = AlertRule.parse(text)
        expected = Expected(waits, live).alerts(rule, None if rule.queue is None else group_id)
        assert [(one.state, one.at, one.value) for one in received] == expected, text
        assert {one.group_id for one in received} <= {None if rule.queue is None else group_id}
        numbers[rule.figure] += len(received)
    return numbers, live


# Seeds without a caller who waits, hears a menu and is then routed elsewhere: the ledger knows that
# the wait ended before the menu, and the figures do so only once the menu has ended.
@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_alerts_of_a_day_are_those_of_the_ledger(seed):
    numbers, live = check_day(Day(seed, 2400), RULES)
    assert len(live) == 1
    assert numbers["longest_wait"] >= 20
    assert numbers["waiting"] >= 20
    assert numbers["service_level"] >= 2


@pytest.mark.slow
def test_alerts_around_a_gap_are_those_of_the_figures_before_and_after_it():
    """Nothing is reported for the gap but ``feed_lost``."""
    day = Day(2, 1800, lost=(600, 1200))
    rules = [rule for rule in RULES if not rule.startswith("service")]
    numbers, live = check_day(day, rules)
    assert len(live) == 2
    assert numbers["waiting"] >= 10
    losses, _ = asyncio.run(play(day, ["feed-lost>60s"]))
    (raised, ended) = losses["feed-lost>60s"]
    assert (raised.state, raised.value) == ("raised", 60.000001)
    assert raised.at == pytest.approx(live[0][1] + 60 * SECOND, abs=2)
    assert (ended.state, ended.at, ended.raised_at) == ("ended", live[1][0], raised.at)


def test_rule_without_subscribers_is_watched_no_longer():
    alerts = RecordedAlerts(dict, 0)
    rule, received = AlertRule.parse("feed-lost>5s"), []
    removals = [alerts.add(rule, received.append, {}) for _ in range(2)]
    due = alerts.next_check()
    assert due == 5 * SECOND + 1
    removals[0]()
    removals[0]()  # the other registration stays
    alerts.check(due)
    assert [(one.state, one.at) for one in received] == [("raised", due)]
    removals[1]()
    alerts.enter(Synced())
    alerts.check(due + SECOND)
    assert len(received) == 1
    alerts.enter(Disconnected(OSError(), None))
    assert alerts.next_check() is None


def test_rule_that_is_removed_by_another_alert_reports_nothing():
    alerts = RecordedAlerts(dict, 0)
    removals, received = [], []
    alerts.add(AlertRule.parse("feed-lost>5s"), lambda _: removals[0](), {})
    removals.append(alerts.add(AlertRule.parse("feed-lost>4s"), received.append, {}))
    alerts.check(6 * SECOND)
    assert received == []
    assert alerts.next_check() is None
