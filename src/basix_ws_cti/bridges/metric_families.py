"""Prometheus metrics of a snapshot.

Names follow the conventions of Prometheus: the prefix ``basix_``, base units, ``_total`` for
counters. What is true now, such as waiting calls, is left out while the feed is not in sync: a
missing series is correct, and an old value would not be. Counters are always there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import TypeVar, get_args

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)

from basix_ws_cti.calls.model import Direction, Disposition, PhaseKind
from basix_ws_cti.session.status import Stats

from .call_counters import TALK_BOUNDS, WAIT_BOUNDS, WAIT_RESULTS, DurationCounter
from .live_figures import QueueSample, Snapshot
from .population import PRESENCES, Population

_Value = TypeVar("_Value", bound=str)

_QUEUE_LABELS = ("queue", "queue_id")

_HISTOGRAM_EXTRAS = 3  # the class without a bound, the sum, and the count

SERIES_PER_QUEUE: int = (
    3  # waiting calls, longest wait, entries
    + len(PRESENCES)
    + len(WAIT_RESULTS)
    + 2 * (len(WAIT_BOUNDS) + _HISTOGRAM_EXTRAS)
    + (len(TALK_BOUNDS) + _HISTOGRAM_EXTRAS)
)
"""Number of series that one queue has at most."""

SERIES_OF_FEED: int = 100
"""Number of all other series, at most."""


def make_families(
    snapshot: Snapshot, count_population: Callable[[], Population]
) -> Iterator[Metric]:
    """Yield all metrics; ``count_population`` is called if the feed is in sync."""
    build = {"version": version("basix_ws_cti")}
    yield InfoMetricFamily("basix_build", "Version of this program.", value=build)
    yield GaugeMetricFamily(
        "basix_feed_synced",
        "1 if the feed is in sync with the PBX, else 0.",
        float(snapshot.is_synced),
    )
    if snapshot.stats is not None:
        yield from _feed_families(snapshot.stats, snapshot.last_frame)
    yield from _call_families(snapshot)
    if snapshot.is_synced:
        population = count_population()
        yield from _present_families(snapshot, population)
        yield from _present_queue_families(snapshot.queues, population)
    yield from _queue_counters(snapshot.queues)


def _feed_families(stats: Stats, last_frame: float | None) -> Iterator[Metric]:
    counters = (
        ("frames", "Frames received from the PBX, or entries read from Redis.", stats.frames),
        ("received_bytes", "Bytes of all frames or entries received.", stats.bytes),
        ("connects", "Connections opened.", stats.connects),
        ("gaps", "Gaps in the feed, in which events may have been missed.", stats.gaps),
        ("bad_frames", "Frames that could not be read.", stats.bad_frames),
        (
            "missed_items",
            "Items that parts of this program lost because they were too slow.",
            stats.missed,
        ),
    )
    for name, text, value in counters:
        yield CounterMetricFamily(f"basix_feed_{name}", text, value)
    messages = CounterMetricFamily(
        "basix_feed_messages", "Messages received, by type.", labels=["type"]
    )
    for message_type, count in sorted(stats.messages.items()):
        messages.add_metric([message_type], count)
    yield messages
    yield GaugeMetricFamily(
        "basix_feed_queued_items", "Items that wait for parts of this program now.", stats.lag
    )
    yield GaugeMetricFamily(
        "basix_feed_last_frame_timestamp_seconds",
        "Time of the last frame, in seconds since the Unix epoch.",
        last_frame,
    )


def _call_families(snapshot: Snapshot) -> Iterator[Metric]:
    ended = CounterMetricFamily(
        "basix_calls_ended",
        "Calls that ended, by direction and by how they went.",
        labels=["direction", "disposition"],
    )
    for direction in get_args(Direction):
        for disposition in get_args(Disposition):
            count = snapshot.ended_calls.get((direction, disposition), 0)
            ended.add_metric([direction, disposition], count)
    yield ended
    yield _histogram(
        "basix_call_talk_seconds",
        "Talk time of the calls that were answered, counted at their end.",
        (),
        [((), snapshot.talks)],
    )


def _present_families(snapshot: Snapshot, population: Population) -> Iterator[Metric]:
    yield _gauge_by(
        "basix_calls", "Ongoing calls, by what they do now.", "phase", snapshot.calls, _PHASES
    )
    yield _gauge_by(
        "basix_users", "Users, by what they do now.", "state", population.users, PRESENCES
    )
    yield GaugeMetricFamily("basix_terminals", "SIP phones known to the PBX.", population.terminals)
    yield GaugeMetricFamily(
        "basix_terminals_registered", "SIP phones that are registered.", population.registered
    )
    yield GaugeMetricFamily(
        "basix_queues", "Groups of the PBX, each with a queue.", snapshot.groups
    )
    yield GaugeMetricFamily(
        "basix_pbx_clock_offset_seconds",
        "Time by which the clock of the PBX seems to be ahead of this machine's clock.",
        snapshot.clock_offset,
    )


_PHASES: tuple[PhaseKind, ...] = get_args(PhaseKind)


def _gauge_by(
    name: str, text: str, label: str, counts: Mapping[_Value, int], values: Iterable[_Value]
) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value in values:
        family.add_metric([value], counts.get(value, 0))
    return family


def _present_queue_families(
    queues: Iterable[QueueSample], population: Population
) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "basix_queue_waiting_calls", "Calls that wait in the queue now.", labels=_QUEUE_LABELS
    )
    longest = GaugeMetricFamily(
        "basix_queue_longest_wait_seconds",
        "Longest wait of the calls that wait now; 0 if no call waits.",
        labels=_QUEUE_LABELS,
    )
    members = GaugeMetricFamily(
        "basix_queue_members",
        "Members of the queue's group, by what they do now.",
        labels=(*_QUEUE_LABELS, "state"),
    )
    for queue in queues:
        labels = _labels(queue)
        waiting.add_metric(labels, queue.waiting)
        longest.add_metric(labels, queue.longest_wait)
        presences = population.members.get(queue.id) or Counter()
        for presence in PRESENCES:
            members.add_metric((*labels, presence), presences.get(presence, 0))
    yield from (waiting, longest, members)


def _queue_counters(queues: Sequence[QueueSample]) -> Iterator[Metric]:
    entered = CounterMetricFamily(
        "basix_queue_calls_entered", "Calls that entered the queue.", labels=_QUEUE_LABELS
    )
    ended = CounterMetricFamily(
        "basix_queue_waits_ended",
        "Waits in the queue that ended, by result.",
        labels=(*_QUEUE_LABELS, "result"),
    )
    for queue in queues:
        labels = _labels(queue)
        entered.add_metric(labels, queue.entered)
        for result in WAIT_RESULTS:
            ended.add_metric((*labels, result), queue.results.get(result, 0))
    yield from (entered, ended)
    yield _histogram(
        "basix_queue_wait_seconds",
        "Wait of the calls that were answered, or abandoned by the caller.",
        (*_QUEUE_LABELS, "result"),
        [
            ((*_labels(queue), result), durations)
            for queue in queues
            for result, durations in (("answered", queue.answered), ("abandoned", queue.abandoned))
        ],
    )
    yield _histogram(
        "basix_queue_handle_seconds",
        "Talk and hold of the calls that the queue offered, for each agent, counted at their end.",
        _QUEUE_LABELS,
        [(_labels(queue), queue.handled) for queue in queues],
    )


def _labels(queue: QueueSample) -> tuple[str, ...]:
    return (queue.name, "" if queue.id is None else str(queue.id))


def _histogram(
    name: str,
    text: str,
    labels: Sequence[str],
    rows: Iterable[tuple[Sequence[str], DurationCounter]],
) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    for values, durations in rows:
        family.add_metric(values, durations.buckets, durations.seconds)
    return family
