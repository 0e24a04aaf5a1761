"""LoginTime and occupancy: time logged in, logged out and unknown, by a mapping of the caller."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from support.call_rows import SECOND

from basix_ws_cti import (
    Added,
    AgentFigures,
    Changed,
    Channel,
    Gap,
    Group,
    GroupMember,
    InfoEvent,
    InitialInfo,
    LoginTime,
    Mirror,
    Removed,
    UsageError,
    User,
    occupancy,
)
from basix_ws_cti.calls.login_states import MAX_PERIODS, LoginStates

HOUR = 3600
AGENT = 7
ANSWERS = {"in": True, "out": False, "untold": None}
STATUS = {"untold": 0, "in": 1, "out": 2}


def is_logged_in(element):
    """Map presence and login_status alike: 1 is logged in, 2 is logged out."""
    value = element.presence if isinstance(element, User) else element.login_status
    return {1: True, 2: False}.get(value)


def user(word, user_id=AGENT):
    return User(id=user_id, presence=STATUS[word])


def member(word, group_id=1, user_id=AGENT, member_id=None):
    return GroupMember(
        id=member_id or 100 + group_id,
        group_id=group_id,
        user_id=user_id,
        login_status=STATUS[word],
    )


def added(element):
    return Added(element.element_name, element)


def changed(element, old):
    return Changed(element.element_name, element, old)


def removed(element):
    return Removed(element.element_name, element)


def gap(started, ended):
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return Gap(epoch + timedelta(seconds=started), epoch + timedelta(seconds=ended), None)


def login_time(*steps, window=26 * HOUR):
    """Return a LoginTime after steps of a time in seconds and the changes at that time."""
    logins = LoginTime(is_logged_in, window)
    for now, *changes in steps:
        logins.apply(changes, round(now * SECOND))
    return logins


def seconds(logins, since=0, until=100, user_id=AGENT):
    """Return the seconds logged in and unknown in a period."""
    period = user_id, since * SECOND, until * SECOND
    return logins.login_us(*period) / SECOND, logins.unknown_us(*period) / SECOND


ENTER = 10, added(member("in"))
LEAVE = 40, changed(member("out"), member("in"))


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        pytest.param(0, 100, (30, 10), id="all"),
        pytest.param(10, 40, (30, 0), id="exactly-the-login"),
        pytest.param(0, 10, (0, 10), id="until-the-login"),
        pytest.param(40, 100, (0, 0), id="from-the-logout"),
        pytest.param(20, 25, (5, 0), id="within"),
        pytest.param(30, 50, (10, 0), id="over-the-logout"),
        pytest.param(20, 20, (0, 0), id="empty"),
        pytest.param(30, 20, (0, 0), id="reversed"),
    ],
)
def test_login_time_is_the_part_within_a_half_open_period(since, until, expected):
    assert seconds(login_time(ENTER, LEAVE), since, until) == expected


@pytest.mark.parametrize("words", [(word, other) for word in STATUS for other in STATUS])
@pytest.mark.parametrize("make", [member, user])
def test_agent_is_logged_in_if_one_element_says_so_and_out_if_none_does(make, words):
    logins = login_time((0, added(make(words[0])), added(member(words[1], group_id=2))))
    answers = {ANSWERS[word] for word in words}
    expected = (100, 0) if True in answers else (0, 0) if False in answers else (0, 100)
    assert seconds(logins) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([], (0, 100), id="nothing-known"),
        pytest.param([ENTER], (90, 10), id="login-lasts"),
        pytest.param([(10, added(member("out")))], (0, 10), id="logged-out"),
        pytest.param(
            [ENTER, (20, changed(member("untold"), member("in"))), (50, added(member("out", 2)))],
            (10, 40),
            id="unknown-value",
        ),
        pytest.param([ENTER, (30, removed(member("in")))], (20, 80), id="removed"),
        pytest.param(
            [ENTER, (20, added(member("in", 2))), (30, removed(member("in"))), LEAVE],
            (90, 10),
            id="second-membership-goes-on",
        ),
        pytest.param(
            [ENTER, (20, changed(member("in", user_id=8), member("in")))],
            (10, 90),
            id="membership-moves-to-another-user",
        ),
        pytest.param(
            [ENTER, (20, changed(member("in"), member("in"))), LEAVE], (30, 10), id="other-fields"
        ),
        pytest.param(
            [ENTER, (20, removed(member("in")), added(member("in"))), LEAVE],
            (30, 10),
            id="removed-and-added-at-once",
        ),
        pytest.param(
            [ENTER, (20, added(Group(id=1)), added(Channel(uuid="u"))), LEAVE],
            (30, 10),
            id="other-kinds",
        ),
        pytest.param(
            [ENTER, (5, changed(member("out"), member("in")))], (0, 5), id="clock-set-back"
        ),
        pytest.param(
            [
                (10, added(member("in", member_id=1))),
                (30, changed(member("out", member_id=1), member("in", member_id=1))),
                (20, changed(member("in", member_id=1), member("out", member_id=1))),
                (40, changed(member("out", member_id=1), member("in", member_id=1))),
            ],
            (30, 10),
            id="time-counts-once-after-the-clock-was-set-back",
        ),
    ],
)
def test_login_time_after_changes(steps, expected):
    assert seconds(login_time(*steps)) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([ENTER, (30, gap(20, 30))], (80, 20), id="state-as-before"),
        pytest.param([ENTER, (30, gap(20, 30), LEAVE[1])], (10, 20), id="logged-out-after-it"),
        pytest.param([ENTER, (30, gap(20, 30), removed(member("in")))], (10, 90), id="removed"),
        pytest.param([ENTER, (30, gap(20, 25))], (80, 20), id="delivered-late"),
        pytest.param([ENTER, (28, gap(20, 30))], (80, 20), id="clock-behind"),
        pytest.param([ENTER, (60, gap(20, 30)), (70, gap(25, 70))], (40, 60), id="overlap"),
        pytest.param([ENTER, LEAVE, (60, gap(30, 60))], (20, 40), id="logout-within-it"),
        pytest.param(
            [(10, gap(0, 10), added(user("in", 8))), (20, added(user("in")))], (80, 20), id="first"
        ),
    ],
)
def test_state_is_unknown_in_a_gap(steps, expected):
    assert seconds(login_time(*steps)) == expected


@pytest.mark.parametrize(
    ("steps", "elements", "expected"),
    [
        pytest.param([], [member("in")], (40, 60), id="late-start"),
        pytest.param([ENTER, (20,)], [member("in")], (50, 50), id="logged-in-before-and-after"),
        pytest.param([ENTER, (20,)], [member("out")], (10, 50), id="logged-out-unseen"),
        pytest.param([ENTER, (20,)], [user("in")], (50, 50), id="another-element-tells"),
        pytest.param([ENTER, (20,)], [], (10, 90), id="removed-unseen"),
    ],
)
def test_restart_takes_the_present_state_and_invents_nothing_before_it(steps, elements, expected):
    logins = login_time(*steps)
    logins.restart(elements, 60 * SECOND)
    assert seconds(logins) == expected


def snapshot(*members):
    return InitialInfo("group_member", {element.key: element for element in members})


def test_changes_of_a_mirror_lead_over_a_gap_to_the_state_of_the_new_snapshot():
    mirror = Mirror()
    first, second = member("in"), member("out", group_id=2)
    logins = login_time(
        (10, *mirror.apply(snapshot(first, second))),
        (20, *mirror.apply(InfoEvent("group_member", member("out"), "updated"))),
        (30, *mirror.apply(InfoEvent("group_member", member("in", group_id=2), "updated"))),
        (60, gap(50, 60), *mirror.apply(snapshot(first))),
    )
    assert seconds(logins, 0, 30) == (10, 10)
    assert seconds(logins, 30, 100) == (60, 10)


@pytest.mark.parametrize("seed", range(20))
def test_random_changes_count_as_second_by_second(seed):
    rng = random.Random(seed)
    logins, words, counted = LoginTime(is_logged_in), {}, []
    last_gap = 0
    for now in range(200):
        group_id, word = rng.randrange(3), rng.choice([*STATUS, "gone"])
        element = member("in" if word == "gone" else word, group_id)
        if rng.random() < 0.1:
            started = rng.randint(last_gap, now)
            logins.apply([gap(started, now)], now * SECOND)
            counted[started:] = [None] * (now - started)
            last_gap = now
        if rng.random() < 0.5:
            changes = [removed(element) if word == "gone" else added(element)]
            logins.apply(changes, now * SECOND)
            words[group_id] = word
        answers = {ANSWERS.get(word) for word in words.values()} - {None}
        counted.append(any(answers) if answers else None)
    since, until = sorted(rng.sample(range(201), 2))
    period = counted[since:until]
    assert seconds(logins, since, until) == (period.count(True), period.count(None))


def test_agents_are_independent():
    logins = login_time(ENTER, (20, added(user("in", user_id=8))), LEAVE)
    assert logins.users == {7, 8}
    assert [seconds(logins, user_id=user_id) for user_id in (7, 8, 9)] == [
        (30, 10),
        (80, 20),
        (0, 100),
    ]


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        pytest.param(User(presence=1), set(), id="user-without-id"),
        pytest.param(GroupMember(id=1, login_status=1), set(), id="membership-without-user"),
        pytest.param(GroupMember(user_id=7, login_status=1), {7}, id="membership-without-group"),
    ],
)
def test_element_that_names_no_user_has_no_effect(element, expected):
    assert login_time((0, Added(element.element_name, element, position=0))).users == expected


def shifts(count):
    """Return steps of logins in the first half of each hour."""
    for hour in range(count):
        yield hour * HOUR, changed(member("in"), member("out"))
        yield (hour + 0.5) * HOUR, changed(member("out"), member("in"))


def test_periods_leave_by_time_and_a_login_that_lasts_stays():
    logins = login_time(*shifts(10), (10 * HOUR, added(user("in", 8))), window=3 * HOUR)
    assert seconds(logins, 0, 10 * HOUR) == (1.5 * HOUR, 7 * HOUR)
    assert seconds(logins, 7 * HOUR, 10 * HOUR) == (1.5 * HOUR, 0)
    logins.apply([], 99 * HOUR * SECOND)
    assert seconds(logins, 0, 99 * HOUR, user_id=8) == (89 * HOUR, 10 * HOUR)


def test_agents_that_are_gone_are_dropped_once_their_periods_leave():
    logins = login_time((0, added(user("in"))), (HOUR, removed(user("in"))), window=HOUR)
    assert seconds(logins, 0, HOUR) == (HOUR, 0)
    logins.apply([], 2 * HOUR * SECOND)
    assert logins.users == set()


def test_periods_of_one_agent_are_bounded_in_number():
    states = LoginStates()
    for second in range(2 * MAX_PERIODS + 101):
        states.update(("user", AGENT), second % 2 == 0, second * SECOND)
    periods = states.periods([True], 0, 10**12)
    assert len(periods) == MAX_PERIODS + 1
    assert periods[0].started == 100 * SECOND


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param([(10, True), (40, False)], [(10, 40)], id="login"),
        pytest.param([(10, True), (20, True), (40, None)], [(10, 40)], id="answer-as-before"),
        pytest.param([(10, True), (10, False)], [], id="no-time"),
        pytest.param([(10, True), (5, False)], [], id="clock-set-back"),
    ],
)
def test_only_a_state_that_took_time_and_ended_is_one_period(answers, expected):
    states = LoginStates()
    for now, answer in answers:
        states.update(("user", AGENT), answer, now)
    periods = states.periods([True], 0, 100)
    assert [(period.started, period.ended) for period in periods] == expected


def figures(handled_seconds):
    values = dict.fromkeys(AgentFigures.of([]).to_dict(), 0)
    return AgentFigures(**values | {"handle_time": handled_seconds * SECOND})


@pytest.mark.parametrize(
    ("handled", "login", "expected"),
    [(30, 60, 0.5), (0, 60, 0.0), (90, 60, 1.5), (30, 0, None), (0, 0, None)],
)
def test_occupancy_is_handle_time_over_login_time(handled, login, expected):
    assert occupancy(figures(handled), login * SECOND) == expected


@pytest.mark.parametrize("result", [1, "in"])
def test_result_of_the_function_must_be_a_bool_or_none(result):
    logins = LoginTime(lambda _: result)
    with pytest.raises(UsageError, match=r"result of is_logged_in must be a bool \(or None\)"):
        logins.apply([added(user("in"))], 0)
    assert logins.users == set()


async def asynchronous(_element):
    return True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("1",), "is_logged_in must be callable, got str"),
        ((asynchronous,), "is_logged_in must be a plain function"),
        ((lambda: True,), "is_logged_in must accept 1 positional argument"),
        ((is_logged_in, 0), "window must be a positive number of seconds, got 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        LoginTime(*arguments)
