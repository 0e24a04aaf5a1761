"""Figures of queues and agents: sums over rows, defined once for live statistics and reports.

Rows come from ``QueueWait.of`` and ``Participation.of``. Pass the rows of a period
(``rows_in_period``) to get its figures. All functions are pure. Durations are in microseconds,
and options that are durations in seconds. docs/explanation/figures.md defines every figure with
an example.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal, Self, TypeVar

import attrs
from attrs import field, frozen

from basix_ws_cti._internal.arguments import check_choice, check_instance, check_seconds
from basix_ws_cti._internal.display import SetFields
from basix_ws_cti.exceptions import UsageError

from .participation import Participation
from .queue_wait import QueueWait
from .sums import AgentSums, DurationClasses, QueueSums
from .tallies import AgentTally, QueueTally, counts_for_agent, counts_in_queue, is_offer_of_queue

SECOND = 1_000_000
"""One second in microseconds."""

LONGEST_DAY = 26 * 3600
"""Seconds for which what happened since midnight is kept: the longest day, and an hour to spare."""

RowTime = Literal["start", "end"]
"""Time that decides if a row belongs to a period. ``"start"``: the entry into the queue, or the
first offer to the agent. ``"end"``: the end of the wait, or of the agent's part of the call."""

Row = TypeVar("Row", QueueWait, Participation)


def time_of(row: QueueWait | Participation, by: RowTime = "start") -> int | None:
    """Return the time that decides if a row belongs to a period, in microseconds.

    ``None``: the row has not ended (``by="end"``), or the PBX sent no time.
    """
    if by == "end":
        return row.left
    if isinstance(row, QueueWait):
        return row.entered
    if row.first_offered is not None:
        return row.first_offered
    return row.left if row.answered is None else row.answered


def rows_in_period(
    rows: Iterable[Row], since: int | None, until: int | None, *, by: RowTime = "start"
) -> Iterator[Row]:
    """Yield the rows of a period: ``since`` is included, ``until`` is not.

    Both are in microseconds since the epoch; ``None``: no bound. A row without a time belongs to
    no period.
    """
    check_choice("by", by, ("start", "end"))

    def lies_within(time: int | None) -> bool:
        if time is None or (since is not None and time < since):
            return False
        return until is None or time < until

    return (row for row in rows if lies_within(time_of(row, by)))


def _to_tuple(bands: Iterable[float]) -> tuple[float, ...]:
    check_instance("bands", bands, Iterable, "a sequence of seconds")
    return tuple(bands)


@frozen(kw_only=True, repr=False)
class Thresholds(SetFields):
    """Thresholds of the figures of queues, in seconds."""

    service_level: float = 20
    """Longest wait that counts as within the service level."""
    short_abandon: float = 5
    """Longest wait of a short abandon: the caller hung up at once, and no agent had a chance."""
    bands: tuple[float, ...] = field(default=(10, 20, 30, 60, 120), converter=_to_tuple)
    """Bounds of the bands of waits, ascending. The last band has no upper bound."""

    def __attrs_post_init__(self) -> None:
        check_seconds("service_level", self.service_level, at_least=0)
        check_seconds("short_abandon", self.short_abandon, at_least=0)
        for bound in self.bands:
            check_seconds("bands", bound)
        if any(lower >= upper for lower, upper in pairwise(self.bands)):
            raise UsageError(f"bands must ascend, got {self.bands}")


def classes_of(thresholds: Thresholds) -> DurationClasses:
    """Return classes of durations that tell on which side of each threshold a wait lies."""
    return DurationClasses.of(
        [_us(thresholds.service_level), _us(thresholds.short_abandon)],
        [*map(_us, thresholds.bands)],
    )


@frozen(kw_only=True, repr=False)
class Band(SetFields):
    """Waits of one range of durations."""

    lower: int
    """Shortest wait of the band, in microseconds."""
    upper: int | None
    """Upper bound, in microseconds: a wait of this length belongs to the next band. ``None``: no
    bound."""
    answered: int
    """Number of answered waits."""
    abandoned: int
    """Number of abandoned waits."""


@frozen(kw_only=True, repr=False)
class QueueFigures(SetFields):
    """Figures of one queue, or of several together.

    ``waiting`` and ``longest_wait`` describe the present, all others the rows counted. Only waits
    of purpose ``"call"`` count. Rates are ``None`` if there is nothing to divide by. Waits that
    last are in no rate.
    """

    waiting: int
    """Number of calls that wait now."""
    longest_wait: int | None
    """Longest wait of the calls that wait now, in microseconds; 0 if no call waits; ``None`` if
    calls wait and no present time was passed."""
    offered: int
    """Number of waits in the rows: those that last, and the next six figures. A report over all
    rows has as many that last as ``waiting``. Live figures leave out a wait that began before the
    window, which ``waiting`` counts; with ``by="end"``, they leave out all waits that last."""
    answered: int
    """Number of waits that ended with an answer."""
    abandoned: int
    """Number of waits that the caller ended by hanging up, short abandons included."""
    overflowed_out: int
    """Number of waits that ended in another queue, at a user, a number or a park slot."""
    voicemail: int
    """Number of waits that ended in a voicemail box."""
    ended: int
    """Number of waits that the PBX ended."""
    unknown: int
    """Number of waits whose end the feed did not show."""
    overflowed_in: int
    """Number of waits in other queues that overflowed to this one. The call's wait here is a row
    of its own."""
    transferred_in: int
    """Number of waits that began with a transfer to the queue; part of ``offered``."""
    short_abandons: int
    """Number of callers who hung up within the threshold ``short_abandon``."""
    abandon_rate: float | None
    """``abandoned`` divided by the waits that ended: 0 to 1."""
    service_level_of_answered: float | None
    """Answered within the threshold, divided by answered: 0 to 1."""
    service_level_of_offered: float | None
    """Answered within the threshold, divided by the waits that ended: 0 to 1."""
    service_level_less_short_abandons: float | None
    """Answered within the threshold, divided by the waits that ended and were no short abandons:
    0 to 1."""
    service_level_abandons_met: float | None
    """Answered or abandoned within the threshold, divided by the waits that ended: 0 to 1."""
    average_answer: int | None
    """Average speed of answer (ASA): average wait of the answered, in microseconds."""
    maximum_answer: int | None
    """Longest wait of the answered, in microseconds."""
    average_wait: int | None
    """Average wait of all waits that ended, in microseconds."""
    maximum_wait: int | None
    """Longest of all waits that ended, in microseconds."""
    average_abandon: int | None
    """Average time to abandon, in microseconds."""
    median_abandon: int | None
    """Median time to abandon, in microseconds."""
    p90_abandon: int | None
    """Time to abandon that 90 % of the abandoning callers stayed below, in microseconds. Median
    and this percentile are interpolated between the two nearest values."""
    bands: tuple[Band, ...]
    """Answered and abandoned waits by duration."""
    handled: int
    """Number of participations with talk that this queue offered. A call that two agents of the
    queue served counts twice, and one that an agent took twice counts once. The call of a member
    who calls the queue counts for the agent who answers it only."""
    talked: int
    """Talk time of those participations, in microseconds."""
    held: int
    """Hold time of those participations, in microseconds."""
    handle_time: int
    """Talk, hold and wrap-up of those participations, in microseconds. The feed has no wrap-up:
    it is the option ``wrap_up`` for each one handled."""
    average_handle: int | None
    """Average handle time (AHT): ``handle_time`` divided by ``handled``, in microseconds."""
    transferred_out: int
    """Number of transfers, blind and attended, by the agents to whom this queue offered the call:
    to an agent, another queue, or outside."""

    @classmethod
    def of(
        cls,
        waits: Iterable[QueueWait],
        participations: Iterable[Participation] = (),
        *,
        group_id: int | None = None,
        thresholds: Thresholds = Thresholds(),
        wrap_up: float = 0,
        now: int | None = None,
    ) -> Self:
        """Return the figures of the rows.

        - ``waits``: waits in any queue, from ``QueueWait.of``.
        - ``participations``: rows from ``Participation.of``, for the handle time.
        - ``group_id``: the queue; ``None``: all queues together.
        - ``wrap_up``: wrap-up time for each call handled, in seconds.
        - ``now``: the present time for ``longest_wait``, in microseconds since the epoch.
        """
        check_seconds("wrap_up", wrap_up, at_least=0)
        waits = [wait for wait in waits if counts_in_queue(wait)]
        tally, served = QueueTally(group_id), AgentTally()
        tally.extend(waits)
        served.extend(
            row
            for row in participations
            if counts_for_agent(row) and is_offer_of_queue(row) and group_id in {None, row.group_id}
        )
        entered = [
            wait.entered
            for wait in waits
            if wait.result is None and group_id in {None, wait.group_id}
        ]
        return cls.of_tallies(
            tally, served, entered, thresholds=thresholds, wrap_up=wrap_up, now=now
        )

    @classmethod
    def by_group(
        cls,
        waits: Iterable[QueueWait],
        participations: Iterable[Participation] = (),
        *,
        thresholds: Thresholds = Thresholds(),
        wrap_up: float = 0,
        now: int | None = None,
    ) -> dict[int, Self]:
        """Return the figures of each queue that has rows, by id of the group, in ascending order.

        The parameters are those of ``of``.
        """
        waits_of: defaultdict[int, list[QueueWait]] = defaultdict(list)
        rows_of: defaultdict[int, list[Participation]] = defaultdict(list)
        for wait in waits:
            waits_of[wait.group_id].append(wait)
            other = wait.next_group_id
            if other is not None and other != wait.group_id:
                waits_of[other].append(wait)
        for row in participations:
            if row.group_id is not None:
                rows_of[row.group_id].append(row)
        return {
            group_id: cls.of(
                waits_of[group_id],
                rows_of[group_id],
                group_id=group_id,
                thresholds=thresholds,
                wrap_up=wrap_up,
                now=now,
            )
            for group_id in sorted({*waits_of, *rows_of})
        }

    @classmethod
    def of_tallies(
        cls,
        tally: QueueTally,
        served: AgentTally,
        waiting: Sequence[int],
        *,
        thresholds: Thresholds,
        wrap_up: float,
        now: int | None,
    ) -> Self:
        """Return the figures of tallies.

        - ``served``: participations that the queue offered.
        - ``waiting``: times of entry of the calls that wait now, in microseconds.
        """
        longest_wait = 0 if not waiting else None if now is None else max(0, now - min(waiting))
        return cls.of_sums(
            tally.sums(classes_of(thresholds)),
            served,
            waiting=len(waiting),
            longest_wait=longest_wait,
            thresholds=thresholds,
            wrap_up=wrap_up,
        )

    @classmethod
    def of_sums(
        cls,
        sums: QueueSums,
        served: AgentSums,
        *,
        waiting: int,
        longest_wait: int | None,
        thresholds: Thresholds,
        wrap_up: float,
    ) -> Self:
        """Return the figures of sums, whose classes are those of ``thresholds``.

        ``served``: participations that the queue offered.
        """
        answered, abandoned, results = sums.answered, sums.abandoned, sums.results
        finished = results.total() - results[None]
        in_time, classes = _us(thresholds.service_level), sums.classes
        short = classes.within(sums.abandoned_counts, _us(thresholds.short_abandon))
        answered_in_time = classes.within(sums.answered_counts, in_time)
        abandoned_in_time = classes.within(sums.abandoned_counts, in_time)
        every_wait = [part for part in (answered, abandoned, sums.others) if part.number]
        handle_time = _handle_time(served, wrap_up)
        return cls(
            waiting=waiting,
            longest_wait=longest_wait,
            offered=results.total(),
            answered=results["answered"],
            abandoned=results["abandoned"],
            overflowed_out=results["overflowed"],
            voicemail=results["voicemail"],
            ended=results["ended"],
            unknown=results["unknown"],
            overflowed_in=sums.overflowed_in,
            transferred_in=sums.transferred_in,
            short_abandons=short,
            abandon_rate=_rate(results["abandoned"], finished),
            service_level_of_answered=_rate(answered_in_time, results["answered"]),
            service_level_of_offered=_rate(answered_in_time, finished),
            service_level_less_short_abandons=_rate(answered_in_time, finished - short),
            service_level_abandons_met=_rate(answered_in_time + abandoned_in_time, finished),
            average_answer=_average(answered.total, answered.number),
            maximum_answer=answered.longest,
            average_wait=_average(
                sum(part.total for part in every_wait), sum(part.number for part in every_wait)
            ),
            maximum_wait=max((part.longest or 0 for part in every_wait), default=None),
            average_abandon=_average(abandoned.total, abandoned.number),
            median_abandon=_percentile(sums.abandon_times, 50),
            p90_abandon=_percentile(sums.abandon_times, 90),
            bands=tuple(_bands(sums, thresholds.bands)),
            handled=served.handled,
            talked=served.talked,
            held=served.held,
            handle_time=handle_time,
            average_handle=_average(handle_time, served.handled),
            transferred_out=served.transfers_out,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as a dict of JSON values."""
        return attrs.asdict(self)


@frozen(kw_only=True, repr=False)
class AgentFigures(SetFields):
    """Figures of one agent, or of several together.

    A participation counts once, however many rings and phones it had. Calls count, and so does the
    part of a colleague in a consult call. Attempts to pick up, listening in and services of the
    PBX count nowhere.
    """

    offered: int
    """Number of calls that the PBX offered to the agent. It is the sum of the calls that ring now
    and of the next six figures."""
    answered: int
    """Number of calls offered that the agent answered."""
    missed: int
    """Number of calls offered that the agent let ring until the PBX went on."""
    abandoned: int
    """Number of calls offered whose caller hung up while the agent's phone rang."""
    picked_up_elsewhere: int
    """Number of calls offered that somebody else answered."""
    refused: int
    """Number of calls offered that were refused: busy or rejected."""
    failed: int
    """Number of calls offered that failed for another reason, or whose end the feed did not
    show."""
    rang: int
    """Time of ringing of the calls offered, in microseconds."""
    picked_up: int
    """Number of calls that the agent took although they rang elsewhere. They are not offered."""
    retrieved: int
    """Number of calls that the agent took from a park slot. They are not offered."""
    consulted: int
    """Number of calls in which a colleague consulted the agent. They are not offered."""
    placed: int
    """Number of calls that the agent placed."""
    placed_answered: int
    """Number of calls placed that were answered."""
    placed_unanswered: int
    """Number of calls placed that ended without an answer, for whatever reason."""
    internal_offered: int
    """Number of calls offered that a user placed to a user or group; part of ``offered``."""
    internal_placed: int
    """Number of calls placed to a user or group; part of ``placed``."""
    handled: int
    """Number of calls with talk: offered, picked up, retrieved, consulted or placed."""
    talked: int
    """Talk time of the calls handled, in microseconds."""
    longest_talk: int
    """Longest talk time of one call, in microseconds; 0 if none was handled."""
    held: int
    """Hold time of the calls handled, in microseconds."""
    handle_time: int
    """Talk, hold and wrap-up of the calls handled, in microseconds. The feed has no wrap-up: it is
    the option ``wrap_up`` for each call."""
    average_handle: int | None
    """Average handle time (AHT): ``handle_time`` divided by ``handled``, in microseconds; ``None``
    if no call was handled."""
    transfers_out: int
    """Number of transfers that the agent made, blind and attended."""
    transfers_in: int
    """Number of transfers to the agent, blind and attended, whether or not the agent answered.
    Calls that were transferred to a queue, which offered them to the agent, do not count."""

    @classmethod
    def of(
        cls,
        participations: Iterable[Participation],
        *,
        user_id: int | None = None,
        group_id: int | None = None,
        wrap_up: float = 0,
    ) -> Self:
        """Return the figures of the rows of users.

        - ``user_id``: the agent; ``None``: all agents together.
        - ``group_id``: the queue that offered the calls; ``None``: all calls.
        - ``wrap_up``: wrap-up time for each call handled, in seconds.
        """
        check_seconds("wrap_up", wrap_up, at_least=0)
        tally = AgentTally()
        tally.extend(
            row
            for row in participations
            if counts_for_agent(row)
            and row.user_id is not None
            and user_id in {None, row.user_id}
            and group_id in {None, row.group_id}
        )
        return cls.of_sums(tally, wrap_up=wrap_up)

    @classmethod
    def by_agent(
        cls, participations: Iterable[Participation], *, wrap_up: float = 0
    ) -> dict[int, Self]:
        """Return the figures of each agent, by id of the user, in ascending order.

        A user who took part in no call that counts is not in the result.
        """
        rows_of: defaultdict[int, list[Participation]] = defaultdict(list)
        for row in participations:
            if row.user_id is not None and counts_for_agent(row):
                rows_of[row.user_id].append(row)
        return {user_id: cls.of(rows_of[user_id], wrap_up=wrap_up) for user_id in sorted(rows_of)}

    @classmethod
    def by_agent_and_group(
        cls, participations: Iterable[Participation], *, wrap_up: float = 0
    ) -> dict[tuple[int, int | None], Self]:
        """Return the figures by id of the user and id of the queue that offered the calls.

        The queue ``None`` stands for all calls that no queue offered. The entries of an agent add
        up to the figures of ``by_agent``.
        """
        rows_of: defaultdict[tuple[int, int | None], list[Participation]] = defaultdict(list)
        for row in participations:
            if row.user_id is not None and counts_for_agent(row):
                rows_of[row.user_id, row.group_id].append(row)
        pairs = sorted(rows_of, key=lambda pair: (pair[0], pair[1] is not None, pair[1] or 0))
        return {pair: cls.of(rows_of[pair], wrap_up=wrap_up) for pair in pairs}

    @classmethod
    def of_sums(cls, sums: AgentSums, *, wrap_up: float) -> Self:
        """Return the figures of sums."""
        offered = sums.of_role("offered")
        placed = sums.of_role("placed")
        all_placed = sum(placed.values())
        handle_time = _handle_time(sums, wrap_up)
        return cls(
            offered=sum(offered.values()),
            answered=offered["answered"],
            missed=offered["missed"],
            abandoned=offered["abandoned"],
            picked_up_elsewhere=offered["picked_up_elsewhere"],
            refused=offered["busy"] + offered["rejected"],
            failed=offered["failed"] + offered["unanswered"] + offered["unknown"],
            rang=sums.rang,
            picked_up=sums.of_role("picked_up")["answered"],
            retrieved=sums.of_role("retrieved")["answered"],
            consulted=sums.of_role("consulted")["answered"],
            placed=all_placed,
            placed_answered=placed["answered"],
            placed_unanswered=all_placed - placed["answered"] - placed[None],
            internal_offered=sums.internal["offered"],
            internal_placed=sums.internal["placed"],
            handled=sums.handled,
            talked=sums.talked,
            longest_talk=sums.longest_talk,
            held=sums.held,
            handle_time=handle_time,
            average_handle=_average(handle_time, sums.handled),
            transfers_out=sums.transfers_out,
            transfers_in=sums.transfers_in,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as a dict of JSON values."""
        return attrs.asdict(self)


def _us(seconds: float) -> int:
    """Return seconds in microseconds."""
    return round(seconds * SECOND)


def _handle_time(sums: AgentSums, wrap_up: float) -> int:
    """Return talk, hold and wrap-up of the calls handled, in microseconds."""
    return sums.talked + sums.held + _us(wrap_up) * sums.handled


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _average(total: int, count: int) -> int | None:
    """Return an average, rounded down to a microsecond."""
    return total // count if count else None


def _percentile(durations: Sequence[int], percent: int) -> int | None:
    """Return a percentile of sorted durations, rounded down to a microsecond.

    It is interpolated between the two nearest durations, as by PERCENTILE_CONT in SQL.
    """
    if not durations:
        return None
    index, rest = divmod((len(durations) - 1) * percent, 100)
    if not rest:
        return durations[index]
    lower, upper = durations[index : index + 2]
    return lower + (upper - lower) * rest // 100


def _bands(sums: QueueSums, bounds: Iterable[float]) -> Iterator[Band]:
    """Yield the bands between the bounds."""
    lower, answered, abandoned = 0, 0, 0
    for upper in (*map(_us, bounds), None):
        answered_below = _below(sums, sums.answered_counts, upper)
        abandoned_below = _below(sums, sums.abandoned_counts, upper)
        yield Band(
            lower=lower,
            upper=upper,
            answered=answered_below - answered,
            abandoned=abandoned_below - abandoned,
        )
        lower, answered, abandoned = upper or 0, answered_below, abandoned_below


def _below(sums: QueueSums, counts: Sequence[int], upper: int | None) -> int:
    return sum(counts) if upper is None else sums.classes.below(counts, upper)
