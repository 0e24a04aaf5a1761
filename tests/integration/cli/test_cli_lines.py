"""Printed lines: names, events, filters and escaping."""

from __future__ import annotations

import json
import re
import sys
import zoneinfo
from zoneinfo import ZoneInfo

import pytest
from rich.cells import cell_len
from support.cases import for_each
from support.hostile_texts import HOSTILE
from support.scripted_source import printed_lines

from basix_ws_cti import (
    Channel,
    Domain,
    FieldSpec,
    Group,
    GroupMember,
    InfoEvent,
    InitialInfo,
    Lagged,
    Msg,
    OtherElement,
    ParkedChannel,
    QueuedChannel,
    SystemMsg,
    Terminal,
    UnknownMessage,
    UsageError,
    User,
    WaitingChannel,
)
from basix_ws_cti.board.text import MAX_LINE_TEXT
from basix_ws_cti.calls.model import Party
from basix_ws_cti.cli.commands.listen import FeedOptions
from basix_ws_cti.cli.options import parse_timezone
from basix_ws_cti.elements import EndUser, EndUsers, Extra, OtherInfo, Target
from basix_ws_cti.simulator import frames
from basix_ws_cti.states import Bridged, Calling, Ivr, OtherState, Park, Ringing, Voicemail

AIKO = User(id=11, name="aiko", label="青木 愛子", main_extension="1001")
BEN = User(id=12, name="ben", main_extension="1002")
SALES = Group(id=90, name="sales", label="営業部", main_extension="1900")
PEOPLE = [
    InitialInfo("user", {11: AIKO, 12: BEN}),
    InitialInfo("group", {90: SALES}),
]
UTC = {"timezone": "UTC"}


def element_lines(*elements, event_name="updated", **options):
    """Return the lines about some elements, without those of the snapshot."""
    events = [InfoEvent(one.element_name, one, event_name) for one in elements]
    options = FeedOptions(**UTC, allow_unknown=True, **options)
    lines = printed_lines([*PEOPLE, *events], options)
    return [one for one in lines if "initial" not in one]


def name_and_state(element, event_name="updated"):
    """Return the last two columns of the line about an element: name and state."""
    (text,) = element_lines(element, event_name=event_name)
    return [cell.strip() for cell in re.split(r"  +", text[36:], maxsplit=1)]


CUSTOMER = EndUsers(count=1, items=(EndUser(name="山田 太郎"),))


@for_each(
    "element, words",
    [
        (
            Channel(
                direction="inbound",
                calling_number="0312341234",
                called_number="0501234567",
                end_user=CUSTOMER,
                state=Calling(target_type="group", group_id=90),
            ),
            ["山田 太郎 (0312341234) -> 0501234567", "waiting for 営業部"],
        ),
        (
            Channel(
                direction="outbound",
                user_id=11,
                calling_number="0312341234",
                other_info=OtherInfo(type="", end_user=CUSTOMER, address="0312341234"),
                state=Ringing(),
            ),
            ["山田 太郎 (0312341234) -> 青木 愛子", "ringing"],
        ),
        (
            Channel(
                direction="inbound",
                user_id=12,
                called_number="1001",
                other_info=OtherInfo(type="user", user_id=11),
                state=Bridged(),
            ),
            ["ben -> 青木 愛子", "talking with 青木 愛子"],
        ),
        (
            WaitingChannel(
                direction="inbound",
                calling_number="0312341234",
                called_number="1900",
                state=Park(slot=901, parker_id=12, parker_name="ben"),
            ),
            ["0312341234 -> 1900", "parked on 901 by ben"],
        ),
        (
            Channel(
                direction="inbound",
                calling_number="1",
                called_number="2",
                answer_timestamp=1_000_000,
                hangup_timestamp=63_000_000,
                last_event="CHANNEL_HANGUP",
                last_event_data="recv_bye,NORMAL_CLEARING",
                state=Bridged(),
            ),
            ["1 -> 2", "hung up after 1:02"],
        ),
        (
            Channel(last_event="CHANNEL_HANGUP", last_event_data="recv_bye"),
            ["unknown -> unknown", "hung up"],
        ),
        (QueuedChannel(peer_number="0312341234", end_user=CUSTOMER), ["山田 太郎 (0312341234)"]),
        (
            ParkedChannel(peer_number="0312341234", state=Ivr(ivr_id="a_b")),
            ["0312341234", "in IVR a b"],
        ),
        (
            Channel(state=Voicemail(target_type="group", target_id=90)),
            ["unknown -> unknown", "voicemail of 営業部"],
        ),
        (Channel(state=OtherState(name="day_dreaming")), ["unknown -> unknown", "day dreaming"]),
        (Channel(state=("raw", 1), user_id=[1]), ["unknown -> user [1]"]),
        (AIKO, ["青木 愛子", "extension 1001"]),
        (User(id=13, label="新人", presence=2), ["新人", "presence 2"]),
        (SALES, ["営業部", "extension 1900"]),
        (
            GroupMember(user_id=11, group_id=90, login_status=1),
            ["青木 愛子 in 営業部", "login status 1"],
        ),
        (GroupMember(user_id=99, group_id=98), ["user 99 in group 98"]),
        (
            Terminal(id=1, name="t1", registered=1, user_agent="Phone 1"),
            ["t1", "registered, Phone 1"],
        ),
        (Terminal(id=1, registered=False), ["1", "not registered"]),
        (Domain(id=1, name="acme", label="Acme"), ["Acme", "domain acme"]),
        (OtherElement(element_name="moon", extra=Extra({"id": 7, "name": "Luna"})), ["Luna"]),
        (OtherElement(element_name="moon", extra=Extra({"id": 7})), ["7"]),
    ],
)
def test_line_names_the_element_and_its_state(element, words):
    """A line has the names that the mirror knows, and the state in plain words."""
    assert name_and_state(element) == words


def test_columns_are_aligned():
    """Time, event, kind, name and state are aligned, with wide characters too."""
    lines = element_lines(AIKO, BEN, Terminal(id=1, name="名" * 20, registered=1))
    assert lines[0].startswith("2026-01-02 03:04:07 updated user    青木 愛子 ")
    starts = [cell_len(re.match(r".*?(?=extension|registered)", one)[0]) for one in lines]
    assert len({*starts}) == 1


def test_initial_info_is_one_line_with_a_count():
    lines = printed_lines([FieldSpec("user", ("id",)), *PEOPLE], FeedOptions(**UTC))
    assert [one[20:] for one in lines] == [
        "initial user    2 elements",
        "initial group   1 element",
    ]
    filtered = printed_lines(PEOPLE, FeedOptions(user=["1001"]))
    assert [one[20:] for one in filtered] == ["initial user    1 element"]


def test_messages_without_elements_have_lines():
    """System messages, user messages, unknown messages and lost items have a line each."""
    messages = [SystemMsg("hello"), Msg("there"), UnknownMessage("moon", ("moon", 1)), Lagged(3)]
    assert [one[20:] for one in printed_lines(messages, FeedOptions(**UTC))] == [
        "message         hello",
        "message         there",
        "unknown         moon",
        "lagged          3 items dropped: output is too slow",
    ]
    filtered = printed_lines(messages, FeedOptions(kind=["user"]))
    assert [one[20:26] for one in filtered] == ["lagged"]
    assert [
        json.loads(one)["type"]
        for one in printed_lines(messages, FeedOptions(kind=["user"], json=True))
    ] == ["lagged"]


def test_call_events_from_start_to_end():
    """Lines say who called, who answered after how long, and how the call ended."""
    lines = printed_lines(frames("parked", seed=3), FeedOptions(calls=True))
    text = "\n".join(lines)
    for words in (
        r"started     inbound  .* -> 0\d+ +new call, in IVR",
        r"ringing     inbound  .*ringing at ",
        r"answered    inbound  .*answered by .+ after 0:\d\d",
        r"parked      inbound  .* +parked on 9\d\d by ",
        r"retrieved   inbound  .*retrieved by .+ after \d:\d\d",
        r"ended       inbound  .*ended: answered, talked \d+:\d\d, .+ hung up, \d+:\d\d in all",
    ):
        assert re.search(words, text), words
    moved = "\n".join(printed_lines(frames("blind_transfer", seed=3), FeedOptions(calls=True)))
    assert re.search(r"transferred inbound  .*transferred by .+ to ", moved)
    assert re.search(
        r"ended .*abandoned in the queue",
        "\n".join(printed_lines(frames("abandoned", seed=3), FeedOptions(calls=True))),
    )


def test_times_are_in_the_chosen_time_zone():
    """Without a time zone, JSON has UTC."""
    messages = [Msg("x")]
    assert printed_lines(messages, FeedOptions(timezone="Asia/Tokyo"))[0].startswith(
        "2026-01-02 12:04:05 "
    )
    at = {
        name: json.loads(printed_lines(messages, FeedOptions(json=True, timezone=name))[0])["at"]
        for name in (None, "Asia/Tokyo")
    }
    assert at == {
        None: "2026-01-02T03:04:05.678901+00:00",
        "Asia/Tokyo": "2026-01-02T12:04:05.678901+09:00",
    }
    assert parse_timezone("Asia/Tokyo") == ZoneInfo("Asia/Tokyo")


@for_each("name", ["Asia/Atlantis", "", "../etc/passwd", "Asia", "/", "x\0"])
def test_unknown_time_zone_is_a_usage_error(name):
    with pytest.raises(UsageError, match="unknown time zone"):
        parse_timezone(name)


def test_missing_time_zone_database_is_explained(monkeypatch):
    # Another test may have imported the package, and its folders are packages of their own.
    for name in {"tzdata", *(name for name in sys.modules if name.startswith("tzdata."))}:
        monkeypatch.setitem(sys.modules, name, None)
    zoneinfo.reset_tzpath(to=())
    ZoneInfo.clear_cache()
    try:
        with pytest.raises(UsageError, match="pip install tzdata"):
            parse_timezone("Asia/Tokyo")
    finally:
        zoneinfo.reset_tzpath()


# -- filters -------------------------------------------------------------------------------


LEG = Channel(
    uuid="u",
    direction="outbound",
    user_id=11,
    group_id=90,
    calling_number="+81 3-1234-1234",
    called_number="1001",
    target=Target(type="user", id=12, address="1002"),
    other_info=OtherInfo(type="user", user_id=13, group_id=91, address="0611112222"),
    state=Park(parker_id=14),
)


@for_each(
    "options, is_shown",
    [
        ({}, True),
        ({"kind": ["channel"]}, True),
        ({"kind": ["user", "channel"]}, True),
        ({"kind": ["user"]}, False),
        ({"event": ["updated"]}, True),
        ({"event": ["added", "removed"]}, False),
        ({"user": ["11"]}, True),
        ({"user": ["aiko"]}, True),
        ({"user": ["1001"]}, True),
        ({"user": ["青木 愛子"]}, True),
        ({"user": ["ben"]}, True),
        ({"user": ["13"]}, True),
        ({"user": ["14"]}, True),
        ({"user": ["nobody", "11"]}, True),
        ({"user": ["90"]}, False),
        ({"user": ["sales"]}, False),
        ({"user": ["None"]}, False),
        ({"group": ["90"]}, True),
        ({"group": ["営業部"]}, True),
        ({"group": ["1900"]}, True),
        ({"group": ["91"]}, True),
        ({"group": ["11"]}, False),
        ({"group": ["aiko"]}, False),
        ({"number": ["0312341234"]}, True),
        ({"number": ["03-1234-1234"]}, True),
        ({"number": ["1002"]}, True),
        ({"number": ["+81611112222"]}, True),
        ({"number": ["0312341235"]}, False),
        ({"user": ["11"], "number": ["0312341235"]}, False),
        ({"user": ["11"], "number": ["0312341234"], "group": ["sales"], "kind": ["channel"]}, True),
    ],
)
@for_each("as_json", [False, True])
def test_filters_of_elements(options, is_shown, as_json):
    """Values of one filter are alternatives; different filters must all match."""
    lines = element_lines(LEG, json=as_json, **options)
    assert bool(lines) == is_shown


@for_each(
    "element, options",
    [
        (User(id=99, name="gone"), {"user": ["gone"]}),
        (Group(id=99, name="gone"), {"group": ["gone"]}),
        (Terminal(id=1, assoc_user_id=11), {"user": ["aiko"]}),
        (GroupMember(user_id=11, group_id=90), {"user": ["aiko"], "group": ["sales"]}),
        (QueuedChannel(uuid="u", peer_number="0312341234"), {"number": ["0312341234"]}),
        (Channel(uuid="u", state=Calling(address="0312341234")), {"number": ["0312341234"]}),
        (Channel(uuid="u", state=Calling(group_id=90)), {"group": ["sales"]}),
        (
            Channel(uuid="u", state=Voicemail(target_type="group", target_id=90)),
            {"group": ["sales"]},
        ),
        (Channel(uuid="u", state=Voicemail(target_type="user", target_id=11)), {"user": ["aiko"]}),
    ],
)
def test_filters_match_every_kind_of_element(element, options):
    """Each kind of element refers to users, groups and numbers in its own fields."""
    assert element_lines(element, event_name="removed", **options)
    assert not element_lines(element, event_name="removed", **{name: ["77"] for name in options})


def test_malformed_values_match_no_filter():
    """An id or number of an unexpected type matches nothing and raises nothing."""
    malformed = Channel(uuid="u", user_id=[1], group_id={"a": []}, calling_number=["0"], state=7)
    for options in ({"user": ["1"]}, {"group": ["a"]}, {"number": ["0"]}):
        assert not element_lines(malformed, **options)


@for_each(
    "options, count",
    [
        ({"event": ["ended"]}, 1),
        ({"event": ["started", "ended"]}, 2),
        ({"user": ["nobody"]}, 0),
        ({"number": ["0399999999"]}, 0),
        ({"group": ["サポート"], "event": ["ended"]}, 1),
        ({"group": ["group1"], "event": ["ended"]}, 1),
    ],
)
def test_filters_of_calls(options, count):
    """Calls are filtered by event type and by participant."""
    messages = frames("inbound_call", seed=3)
    options = {"calls": True, "allow_unknown": True, **options}
    assert len(printed_lines(messages, FeedOptions(**options))) == count
    assert len(printed_lines(messages, FeedOptions(json=True, **options))) == count


@for_each("calls", [False, True])
def test_unknown_user_of_a_recorded_feed_is_a_usage_error(calls):
    """The names are those of the first snapshot."""
    options = FeedOptions(calls=calls, user=["nobody"])
    with pytest.raises(UsageError, match="unknown user 'nobody'; no id, name, extension or label"):
        printed_lines(frames("inbound_call", seed=3), options)


def test_calls_are_filtered_by_the_caller_number():
    messages = frames("inbound_call", seed=3)
    caller = json.loads(printed_lines(messages, FeedOptions(calls=True, json=True))[0])["call"][
        "caller"
    ]
    number = f"+81{caller['number'][1:]}"
    ended = printed_lines(messages, FeedOptions(calls=True, number=[number], event=["ended"]))
    assert len(ended) == 1
    assert Party(**{**caller, "end_user": None}).number == caller["number"]


@for_each(
    "options, words",
    [
        ({"number": ["anonymous"]}, "telephone number"),
        ({"number": [""]}, "telephone number"),
        ({"calls": True, "kind": ["channel"]}, "--kind"),
        ({"calls": True, "event": ["added"]}, "unknown call event 'added'"),
    ],
)
def test_filters_that_never_match_are_usage_errors(options, words):
    with pytest.raises(UsageError, match=words):
        FeedOptions(**options).filters()


def test_limit_counts_lines():
    """The limit also applies within an ``initial_info``."""
    assert len(printed_lines(PEOPLE, FeedOptions(json=True, limit=1))) == 1
    assert len(printed_lines(PEOPLE, FeedOptions(json=True, limit=2))) == 2
    assert len(printed_lines(PEOPLE, FeedOptions(json=True, limit=9))) == 3


# -- untrusted text ---------------------------------------------------------------------


@for_each("name, escaped", HOSTILE.values())
def test_control_characters_are_escaped(name, escaped):
    """Lines for people escape control characters; JSON keeps the text."""
    (text,) = element_lines(User(id=99, label=name))
    assert escaped in text
    (line,) = element_lines(User(id=99, label=name), json=True)
    assert json.loads(line)["element"]["label"] == name
    assert line.replace("\u3000", "").isprintable()


def test_long_texts_are_truncated():
    """The JSON line keeps the complete text."""
    (text,) = printed_lines([Msg("x" * 100_000)], FeedOptions())
    assert len(text) < MAX_LINE_TEXT + 100
    element = Terminal(id=1, name="t", registered=1, user_agent="y" * 100_000)
    (text,) = element_lines(element)
    assert len(text) < MAX_LINE_TEXT + 100
    (line,) = element_lines(element, json=True)
    assert "y" * 100_000 in line
