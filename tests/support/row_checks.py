"""Rows of ended calls, and the invariants that they satisfy."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import NamedTuple

from basix_ws_cti.calls import CallRecord, Participation, QueueWait
from basix_ws_cti.calls.intervals import duration


class Rows(NamedTuple):
    """All rows of one ended call."""

    record: CallRecord
    waits: tuple[QueueWait, ...]
    participations: tuple[Participation, ...]

    @classmethod
    def of(cls, call):
        return cls(CallRecord.of(call), QueueWait.of(call), Participation.of(call))


def check_phases(call):
    """Check that the phases tile the call's life without holes and overlaps."""
    assert call.phases[0].started == call.started
    for before, after in itertools.pairwise(call.phases):
        assert before.ended == after.started
        assert before.started <= before.ended
    assert call.phases[-1].ended == call.ended
    if call.ended is not None:
        assert sum(phase.duration for phase in call.phases) == call.ended - call.started


def check_waits(call):
    """Check that the waits of a call lie within it, apart, and cover its time in queues.

    Only the last wait of a call in progress may lack its end.
    """
    waits = QueueWait.of(call)
    assert all(call.started <= wait.entered for wait in waits)
    ended = [wait for wait in waits if wait.result is not None]
    assert ended == [*(waits if call.ended is not None else waits[: len(ended)])]
    assert len(waits) - len(ended) <= 1
    for wait in ended:
        assert wait.entered <= wait.left
        assert call.ended is None or wait.left <= call.ended
        assert wait.waited_us == wait.left - wait.entered
        assert wait.answered_by_user_id is None or wait.result == "answered"
        assert wait.next_group_id is None or wait.result == "overflowed"
    for before, after in itertools.pairwise(waits):
        assert before.left <= after.entered
    if call.ended is not None:
        waited = sum(wait.waited_us for wait in waits)
        # A menu or an announcement may be a part of a wait.
        assert call.time_in("queued") <= waited <= call.time_in("queued", "ivr", "other")
        assert [(wait.group_id, wait.entered) for wait in waits] == [
            stay[:2] for stay in _stays(call)
        ]


def check_participations(call):
    """Check the participations of a call against the call and against each other."""
    rows = Participation.of(call)
    if call.joined is not None:
        assert rows == ()
    parties = [(row.user_id, row.number) for row in rows]
    assert len(parties) == len({*parties})
    assert all((user is None) is not (number is None) for user, number in parties)
    for row in rows:
        assert min(row.rings, row.rang_us, row.talked_us, row.held_us) >= 0
        assert (row.answered is not None) is (row.result == "answered")
        assert row.result != "missed" or row.rings > 0
        if call.ended is not None:
            assert row.result is not None
            assert row.left is not None
            if call.complete and not call.clock_adjusted:
                # The talk of a consult call that is older than the call counts, too.
                length = row.left - min(
                    leg.offered
                    for leg in call.legs
                    if leg.party.user_id == row.user_id
                    and (row.user_id is not None or leg.party.number == row.number)
                )
                assert row.talked_us + row.held_us <= length
                assert row.rang_us <= length


def check_rows(call):
    """Check the waits and participations of a call."""
    check_waits(call)
    check_participations(call)


def check_talks(calls):
    """Check that no user talks twice at the same moment, within a call and across calls."""
    talks = {}
    for call in calls:
        if call.joined is None:  # its legs are legs of the other call
            for leg in call.legs:
                if leg.party.user_id is not None:
                    talks.setdefault(leg.party.user_id, []).extend(leg.talks)
    for user_id, intervals in talks.items():
        total = sum(one.ended - one.started for one in intervals)
        assert total == duration(intervals), (user_id, sorted(map(str, intervals)))


def check_sums(calls):
    """Check that the sums over all queues are the sums over all calls."""
    counts, waited = Counter(), Counter()
    for call in calls:
        for wait in QueueWait.of(call):
            counts[wait.group_id, wait.result] += 1
            waited[wait.group_id] += wait.waited_us
    expected_counts, expected_waited = Counter(), Counter()
    for call in calls:
        for group_id, started, ended, result in _stays(call):
            expected_counts[group_id, result] += 1
            expected_waited[group_id] += ended - started
    assert counts == expected_counts
    assert waited == expected_waited


def check_figures(stats, calls, now):
    """Check that the figures of all queues and agents add up to the rows of the calls.

    ``stats`` has seen all events of the calls, which have ended, and its window contains them.
    """
    queues = [stats.group(group_id, now) for group_id in stats.groups]
    waits = [one for call in calls for one in QueueWait.of(call) if one.purpose == "call"]
    results = Counter(wait.result for wait in waits)
    assert sum(queue.waiting for queue in queues) == 0
    assert sum(queue.offered for queue in queues) == len(waits)
    for name in ("answered", "abandoned", "voicemail", "ended", "unknown"):
        assert sum(getattr(queue, name) for queue in queues) == results[name]
    assert sum(queue.overflowed_out for queue in queues) == results["overflowed"]
    agents = [stats.user(user_id, now) for user_id in stats.users]
    rows = [
        row
        for call in calls
        for row in Participation.of(call)
        if row.user_id is not None
        # The user who placed a consult call holds another one meanwhile.
        and (call.purpose == "call" or (call.purpose == "consult" and row.role != "placed"))
        and row.role not in {"service", "monitored"}
    ]
    roles = Counter(row.role for row in rows)
    for role in ("offered", "placed"):
        assert sum(getattr(agent, role) for agent in agents) == roles[role]
    answered = Counter(row.role for row in rows if row.result == "answered")
    for role in ("picked_up", "consulted", "retrieved"):
        assert sum(getattr(agent, role) for agent in agents) == answered[role]
    assert sum(agent.talked for agent in agents) == sum(row.talked_us for row in rows)


# Letters of the kinds of phases that end a wait, and its result.
_LETTERS = {
    "talking": ("t", "answered"),
    "ringing": ("r", "overflowed"),
    "parked": ("p", "overflowed"),
    "voicemail": ("v", "voicemail"),
    "conference": ("c", "ended"),
    "unknown": ("u", "unknown"),
}
_BY_LETTER = dict(_LETTERS.values())
_FIRST_GROUP = 0x4E00


def _stays(call):
    """Yield group, start, end and result of the waits of an ended call, found by a pattern.

    Each phase is a letter: a group has a letter of its own, a menu or an announcement is a dot.
    """
    groups = [one.party.group_id for one in call.phases if one.kind == "queued"]
    letters = {group: chr(_FIRST_GROUP + i) for i, group in enumerate(dict.fromkeys(groups))}
    text = "".join(
        letters[one.party.group_id]
        if one.kind == "queued"
        else _LETTERS.get(one.kind, (".", None))[0]
        for one in call.phases
    )
    for match in re.finditer(r"([\u4e00-\u9fff])(?:\.*\1)*", text):
        first, last = call.phases[match.start()], call.phases[match.end() - 1]
        rest = text[match.end() :].lstrip(".")
        ended = last.ended
        if not rest:
            result = _result_at_end(call)
            if result in {"answered", "abandoned"}:
                ended = call.ended
        else:
            result = _BY_LETTER.get(rest[0], "overflowed")
            if result == "answered":
                ended = call.phases[len(text) - len(rest)].started
        yield first.party.group_id, first.started, ended, result


def _result_at_end(call):
    if call.joined is not None:
        return "overflowed" if call.taken_by is None else "answered"
    if call.abandoned_in is not None:
        return "abandoned"
    if (call.direction, call.disposition, call.ended_by) == ("outbound", "unanswered", "caller"):
        return "abandoned"
    return "unknown" if call.ended_by is None else "ended"
