"""Figures of queues and agents for single flows, as a call centre counts them.

``support.call_script`` explains the events. The other modules here specify the rows that the
figures are computed from.
"""

from __future__ import annotations

import pytest
from support.call_feeds import Watcher
from support.call_script import GROUPS, SECOND, START, USERS, messages_of

from basix_ws_cti.calls import CallRecord, Participation, QueueFigures, QueueStats, QueueWait


class Watched:
    """A client that watches a script, with its figures.

    - ``late``: number of events that happened before the client connected.
    - ``options``: those of ``QueueStats``.
    """

    def __init__(self, script, *, late=0, **options):
        self.watcher = Watcher()
        self.stats = QueueStats(**{"window": 86_400, **options})
        for message in messages_of(script):
            self.watcher.receive(message)
        self.stats.apply(self.watcher.events)

    def queue(self, letter, now=86_000):
        """Return a queue's figures at a time of the script, in seconds."""
        return self.stats.group(GROUPS[letter], START + now * SECOND)

    def agent(self, letter, now=86_000):
        """Return an agent's figures at a time of the script, in seconds."""
        return self.stats.user(USERS[letter], START + now * SECOND)

    @property
    def counted_calls(self):
        """Number of calls."""
        records = [CallRecord.of(call) for call in self.watcher.calls]
        return sum(record.purpose == "call" and record.joined is None for record in records)


def shown(figures):
    """Return the figures that are not zero or empty, durations in seconds, without the bands."""
    values = {name: value for name, value in figures.to_dict().items() if value}
    values.pop("bands", None)
    durations = {"rang", "talked", "longest_talk", "held", "handle_time", "average_handle"}
    return {name: value / SECOND if name in durations else value for name, value in values.items()}


HANDLED = {"handled", "talked", "longest_talk", "handle_time", "average_handle"}


def counts(figures):
    """Return the figures that are numbers of calls and not zero."""
    return {
        name: value
        for name, value in shown(figures).items()
        if isinstance(value, int) and name != "handled"
    }


# -- own calls of an agent ------------------------------------------------------------


def test_own_call_that_nobody_answers_is_placed_and_not_missed():
    watched = Watched("""
        0   A1 dials X
        0   A1 calls X
        0   X1 rings for A1
        25  X1 is ended NO_ANSWER
    """)
    assert counts(watched.agent("A")) == {"placed": 1, "placed_unanswered": 1}


@pytest.mark.parametrize(
    "state",
    ["messages", "conference 8000", "service echo"],
)
def test_services_of_the_pbx_count_nowhere(state):
    watched = Watched(f"""
        0   A1 dials 8000
        0   A1 {state}
        0   A1 answered
        25  A1 hangs up
    """)
    assert shown(watched.agent("A")) == {}


def test_monitoring_counts_nowhere():
    watched = Watched("""
        0   X1 dials 0501234567
        0   X1 calls B
        0   B1 rings for X1
        5   B1 answers
        10  A1 rings by API to dial media_plug
        11  A1 answered
        11  A1 listens to X1
        30  A1 hangs up
        60  X1 hangs up
    """)
    assert shown(watched.agent("A")) == {}
    assert watched.agent("B").talked == 55 * SECOND
    assert watched.counted_calls == 1


def test_click_to_call_is_one_call_that_the_agent_placed():
    watched = Watched("""
        0   A1 rings by API to dial X
        0.1 A2 rings by API to dial X
        3   A1 answered
        3   A2 ends send_cancel,LOSE_RACE
        3   A1 calls X
        3   X1 rings for A1
        15  X1 answers
        60  X1 hangs up
    """)
    assert counts(watched.agent("A")) == {"placed": 1, "placed_answered": 1}
    assert watched.agent("A").talked == 45 * SECOND
    assert watched.counted_calls == 1


def test_internal_call_is_placed_by_one_and_offered_to_the_other():
    watched = Watched("""
        0   A1 dials B
        0   A1 calls B
        0   B1 rings for A1
        5   B1 answers
        30  A1 hangs up
    """)
    assert counts(watched.agent("A")) == {"placed": 1, "placed_answered": 1, "internal_placed": 1}
    assert counts(watched.agent("B")) == {"offered": 1, "answered": 1, "internal_offered": 1}


# -- abandoned after a talk -----------------------------------------------------------

TALK = """
        0   X1 dials 0501234567
        0   X1 calls A
        0   A1 rings for X1
        5   A1 answers
"""


@pytest.mark.parametrize(
    "first",
    [
        f"{TALK}\n 20 A1 leaves",
        "0 A1 dials X\n 0 A1 calls X\n 0 X1 rings for A1\n 5 X1 answers\n 20 A1 leaves",
    ],
)
def test_caller_who_hangs_up_in_a_queue_after_a_talk_is_abandoned_there(first):
    watched = Watched(f"""
        {first}
        20  X1 queued G
        50  X1 hangs up
    """)
    figures = watched.queue("G")
    assert (figures.offered, figures.abandoned, figures.average_abandon) == (1, 1, 30 * SECOND)


def test_parked_caller_who_hangs_up_is_abandoned():
    watched = Watched(f"""
        {TALK}
        20  X1 parked on 901 by A
        20  A1 leaves
        50  X1 hangs up
    """)
    (call,) = watched.watcher.calls
    assert CallRecord.of(call).abandoned_in == "parked"


# -- attended transfer ----------------------------------------------------------------


def test_attended_transfer_counts_one_call_and_each_second_of_talk_once():
    """The agent talks for 90 s, the colleague for 60 s, within 110 s."""
    watched = Watched("""
        0    X1 dials 0501234567
        0    X1 queued G
        0    A1 rings for X1
        0    A1 answers
        50   A2 dials B
        50   A2 calls B
        50   B1 rings for A2
        50   B1 answers
        90   X1 bridged with B1
        90   A1 leaves
        90   A2 leaves
        110  X1 hangs up
    """)
    assert watched.counted_calls == 1
    assert counts(watched.agent("A")) == {"offered": 1, "answered": 1, "transfers_out": 1}
    assert counts(watched.agent("B")) == {"consulted": 1, "transfers_in": 1}
    talked = [watched.agent(user).talked // SECOND for user in "AB"]
    assert (talked, watched.agent("A").handled) == ([90, 60], 1)
    assert (watched.queue("G").offered, watched.queue("G").answered) == (1, 1)


# -- two queues -----------------------------------------------------------------------


def test_wait_in_the_second_queue_is_in_no_figure_of_the_first():
    watched = Watched("""
        0   X1 dials 0501234567
        0   X1 queued G
        30  X1 queued H
        50  X1 hangs up
    """)
    first, second = watched.queue("G"), watched.queue("H")
    assert (first.offered, first.overflowed_out, first.abandoned) == (1, 1, 0)
    assert (first.maximum_wait, first.average_abandon) == (30 * SECOND, None)
    assert (second.offered, second.overflowed_in, second.abandoned) == (1, 1, 1)
    assert second.average_abandon == 20 * SECOND


def test_wait_leaves_a_sliding_window_by_its_own_end():
    """The other wait of the same call is still in the window."""
    watched = Watched(
        """
        0     X1 dials 0501234567
        0     X1 answered
        0     X1 queued G
        3600  X1 queued H
        3610  X1 hangs up
        """,
        window=1800,
    )
    assert watched.queue("G", now=5405).offered == 0
    assert watched.queue("H", now=5405).offered == 1


# -- transfers ------------------------------------------------------------------------


def test_transfer_from_queue_to_queue_and_on_to_a_user():
    """A transfers the caller to the other queue; B answers there and sends the caller to C."""
    watched = Watched("""
        0   X1 dials 0501234567
        0   X1 queued G
        0   A1 rings for X1
        5   A1 answers
        30  A1 leaves
        30  X1 queued H
        30  B1 rings for X1
        40  B1 answers
        50  B1 leaves
        50  X1 calls C
        50  C1 rings for X1
        60  X1 hangs up
    """)
    queues = {letter: watched.queue(letter) for letter in "GH"}
    assert {
        letter: (one.transferred_in, one.transferred_out, one.overflowed_out, one.overflowed_in)
        for letter, one in queues.items()
    } == {"G": (0, 1, 0, 0), "H": (1, 1, 0, 0)}
    agents = {letter: watched.agent(letter) for letter in "ABC"}
    assert {
        letter: (one.transfers_out, one.transfers_in, one.offered) for letter, one in agents.items()
    } == {"A": (1, 0, 1), "B": (1, 0, 1), "C": (0, 1, 1)}


# -- one call, one miss ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("rings", "expected"),
    [
        (
            """
            0   B1 rings for X1
            15  B1 stops ringing
            20  B2 rings for X1
            35  B2 stops ringing
            40  B3 rings for X1
            55  B3 stops ringing
            """,
            {"offered": 1, "missed": 1},
        ),
        (
            """
            0   B1 rings for X1
            0   B2 rings for X1
            55  B1 stops ringing
            55  B2 stops ringing
            """,
            {"offered": 1, "missed": 1},
        ),
        (
            """
            0   B1 rings for X1
            15  B1 stops ringing
            20  B2 rings for X1
            35  B2 answers
            """,
            {"offered": 1, "answered": 1},
        ),
    ],
    ids=["three rounds", "two phones", "answered in the second round"],
)
def test_agent_misses_a_call_once_at_most(rings, expected):
    watched = Watched(f"""
        0   X1 dials 0501234567
        0   X1 queued G
        {rings}
        60  X1 hangs up
    """)
    assert counts(watched.agent("B")) == expected


# -- consults and returns -------------------------------------------------------------


def test_consult_into_a_queue_is_not_offered_there():
    watched = Watched(f"""
        {TALK}
        20  A2 dials G
        20  A2 queued G
        20  C1 rings for A2
        40  A2 hangs up
        60  X1 hangs up
    """)
    assert (watched.queue("G").offered, watched.queue("G").abandoned) == (0, 0)
    assert watched.counted_calls == 1


@pytest.mark.parametrize(
    "ending",
    [
        # The agent hangs up, or transfers the caller.
        "50 A2 hangs up",
        """50 X1 bridged with C1
        50  A1 leaves
        50  A2 leaves""",
    ],
)
def test_colleague_who_was_reached_through_a_queue_handles_no_call_of_it(ending):
    """The colleague was consulted; the queue offered no call."""
    watched = Watched(f"""
        {TALK}
        20  A2 dials G
        20  A2 queued G
        20  C1 rings for A2
        40  C1 answers
        {ending}
        60  X1 hangs up
    """)
    figures = watched.queue("G")
    assert (figures.offered, figures.handled, figures.talked) == (0, 0, 0)
    assert (watched.agent("C").consulted, watched.agent("C").handled) == (1, 1)


def transfer_while_ringing(then):
    """Return a script in which a consult call into a queue is transferred to the ringing phone.

    ``then``: what the PBX does with the caller.
    """
    return f"""
        {TALK}
        20  A2 dials G
        20  A2 queued G
        20  C1 rings for A2
        30  A1 leaves
        30  X1 {then}
        30  C1 rings on for X1
        30  A2 ends send_refuse,ATTENDED_TRANSFER
        40  C1 answers
        60  X1 hangs up
    """


@pytest.mark.parametrize(("then", "number"), [("calls C", 0), ("queued G", 1)])
def test_transfer_to_a_phone_that_rings_in_a_queue_is_handled_if_offered(then, number):
    """The queue offers the caller to the colleague only if the caller is put into it."""
    figures = Watched(transfer_while_ringing(then)).queue("G")
    assert (figures.offered, figures.answered, figures.handled) == (number, number, number)


def test_phone_that_rings_on_counts_in_the_wait_of_the_transferred_caller():
    calls = Watched(transfer_while_ringing("queued G")).watcher.calls
    waits = [wait for call in calls for wait in QueueWait.of(call)]
    assert [(wait.call_id, wait.result, wait.rings) for wait in waits] == [
        ("A2", "overflowed", 1),
        ("X1", "answered", 1),
    ]


def test_return_after_an_announcement_is_one_offer_with_the_whole_wait():
    watched = Watched("""
        0   X1 dials 0501234567
        0   X1 answered
        0   X1 queued G
        30  X1 announcement
        35  X1 queued G
        35  B1 rings for X1
        45  B1 answers
        60  X1 hangs up
    """)
    figures = watched.queue("G")
    assert (figures.offered, figures.answered, figures.maximum_answer) == (1, 1, 45 * SECOND)


# -- the sliding window ---------------------------------------------------------------


def test_miss_leaves_the_window_by_its_own_time():
    """The call goes on for 45 s after the miss; others begin and end in between."""
    script = """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
        15  B1 stops ringing
        20  Y1 dials 0501234567
        20  Y1 calls B
        20  B2 rings for Y1
        25  B2 answers
        30  Y1 hangs up
        60  X1 hangs up
    """
    watched = Watched(script, window=100, by="end")
    assert counts(watched.agent("B", now=115)) == {"offered": 2, "answered": 1, "missed": 1}
    assert counts(watched.agent("B", now=116)) == {"offered": 1, "answered": 1}
    assert counts(watched.agent("B", now=131)) == {}


def test_agent_who_transferred_a_long_call_is_in_the_figures_of_the_hour():
    """The call still goes on."""
    watched = Watched(
        f"""
        {TALK}
        65     A1 leaves
        65     X1 calls B
        65     B1 rings for X1
        70     B1 answers
        9000   X1 has tags=long
        """,
        window=3600,
        by="end",
    )
    assert watched.agent("A", now=3600).talked == 60 * SECOND
    assert watched.agent("A", now=3666).talked == 0


@pytest.mark.slow
def test_wait_after_a_thousand_phases_counts():
    menus = "\n".join(f"{number} X1 menu {'ab'[number % 2]}" for number in range(1200))
    watched = Watched(f"""
        0     X1 dials 0501234567
        0     X1 answered
        {menus}
        1200  X1 queued G
        1200  B1 rings for X1
        1210  B1 answers
        1300  X1 hangs up
    """)
    figures = watched.queue("G")
    assert (figures.offered, figures.answered, figures.maximum_answer) == (1, 1, 10 * SECOND)


# -- late starts and lost items -------------------------------------------------------

WAITING = """
        0   X1 dials 0501234567
        0   X1 queued G
        0   B1 rings for X1
"""


def test_figures_that_start_late_count_who_waits_already():
    watcher = Watcher()
    for message in messages_of(WAITING):
        watcher.receive(message)
    stats = QueueStats(calls=watcher.tracker.calls.values())
    figures = stats.group(GROUPS["G"], START + 30 * SECOND)
    assert (figures.waiting, figures.longest_wait) == (1, 30 * SECOND)


def test_figures_recover_from_lost_items():
    """The end of a call is among the items lost: the call waits no longer."""
    watched = Watched(WAITING)
    assert watched.queue("G").waiting == 1
    watcher = Watcher()
    watched.stats.restart(watcher.tracker.calls.values())
    figures = watched.queue("G")
    assert (figures.waiting, figures.offered, figures.unknown) == (0, 1, 1)
    assert watched.stats.active_calls == 0


# -- calls that were counted as something else ----------------------------------------


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("0 X1 dials 1\n0 X1 answered\n0 X1 mailbox of B\n1 X1 hangs up", "no_message"),
        ("0 X1 dials 1\n0 X1 answered\n0 X1 menu closed\n9 X1 is ended", "ended_in_menu"),
        ("0 X1 dials 1\n0 X1 calls B\n0 B1 rings for X1\n9 B1 is ended", "missed"),
        ("0 A1 dials X\n0 A1 calls X\n0 X1 rings for A1\n9 X1 is ended", "unanswered"),
        ("0 X1 dials 1\n0 X1 service routing\n0 X1 is ended CALL_REJECTED", "rejected"),
        ("0 A1 dials pickup_uuid.B1\n0 A1 service x\n0 A1 is ended NO_PICKUP", "failed"),
    ],
)
def test_words_tell_apart_how_calls_went(script, expected):
    (call,) = Watched(script).watcher.calls
    assert CallRecord.of(call).disposition == expected


def test_customer_who_joins_an_older_consult_is_counted():
    watched = Watched("""
        0   A1 dials B
        0   A1 calls B
        0   B1 rings for A1
        5   B1 answers
        10  X1 dials 0501234567
        10  X1 queued G
        10  A2 rings for X1
        15  A2 answers
        30  X1 bridged with B1
        30  A1 leaves
        30  A2 leaves
        60  X1 hangs up
    """)
    counted = [
        record
        for record in map(CallRecord.of, watched.watcher.calls)
        if record.purpose == "call" and record.joined is None
    ]
    assert [(record.id, record.direction) for record in counted] == [("X1", "inbound")]
    assert watched.queue("G").answered == 1


def test_answer_on_a_permanent_line_is_an_answer_of_the_queue():
    watched = Watched("""
        0   B1 rings by API to dial media_plug
        1   B1 answered
        10  X1 dials 0501234567
        10  X1 answered
        10  X1 queued G
        30  X1 bridged with B1
        60  X1 hangs up
    """)
    figures = watched.queue("G")
    assert (figures.offered, figures.answered, figures.average_answer) == (1, 1, 20 * SECOND)
    assert watched.agent("B").talked == 30 * SECOND


def test_member_who_calls_their_own_queue_is_not_its_agent():
    script = """
        0   A1 dials G
        0   A1 queued G
        0   A2 rings for A1
        0   B1 rings for A1
        12  B1 answers
        20  A1 hangs up
    """
    watched = Watched(script)
    rows = [row for call in watched.watcher.calls for row in Participation.of(call)]
    waits = [row for call in watched.watcher.calls for row in QueueWait.of(call)]
    reported = QueueFigures.of(waits, rows, group_id=GROUPS["G"])
    assert reported == QueueFigures.by_group(waits, rows)[GROUPS["G"]]
    for figures in (watched.queue("G"), reported):
        assert (figures.handled, figures.talked) == (1, 8 * SECOND)
    assert counts(watched.agent("A")) == {
        "placed": 1,
        "placed_answered": 1,
        "internal_placed": 1,
    }
