"""Display text of durations and parties; ``test_cli_lines.py`` covers all elements."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from basix_ws_cti import Group, GroupMember, InitialInfo, Mirror, Terminal, User
from basix_ws_cti.board.durations import format_duration, to_microseconds
from basix_ws_cti.board.labels import Labels
from basix_ws_cti.calls.model import Party, Phase


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "0:00"),
        (-999_999, "0:00"),
        (-1_000_000, "0:00?"),
        (-7200_000_000, "0:00?"),
        (59_999_999, "0:59"),
        (60_000_000, "1:00"),
        (3_723_000_000, "1:02:03"),
    ],
)
def test_duration_is_formatted_in_hours_minutes_and_seconds(microseconds, text):
    assert format_duration(microseconds) == text


def test_datetime_is_converted_to_microseconds():
    assert to_microseconds(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC)) == 1_000_005


@pytest.fixture
def labels():
    mirror = Mirror()
    mirror.apply(InitialInfo("user", {1: User(id=1, name="aiko", label="青木 愛子")}))
    mirror.apply(InitialInfo("group", {9: Group(id=9, name="sales")}))
    return Labels(mirror)


@pytest.mark.parametrize(
    ("party", "text"),
    [
        (Party(user_id=1, number="1001"), "青木 愛子"),
        (Party(user_id=2), "user 2"),
        (Party(group_id=9), "sales"),
        (Party(name="山田 太郎", number="0312341234"), "山田 太郎 (0312341234)"),
        (Party(number="0312341234"), "0312341234"),
        (Party(), "unknown"),
    ],
)
def test_party_is_shown_by_name_or_number(labels, party, text):
    assert labels.party(party) == text


@pytest.mark.parametrize(
    ("phase", "text"),
    [
        (Phase(kind="ivr", started=0, place="main_menu"), "in IVR main menu"),
        (Phase(kind="ringing", started=0), "ringing"),
        (Phase(kind="ringing", started=0, party=Party(number="0312341234")), "calling 0312341234"),
        (Phase(kind="talking", started=0), "talking"),
        (Phase(kind="parked", started=0, place=901, by=1), "parked on 901 by 青木 愛子"),
        (Phase(kind="queued", started=0, party=Party(group_id=9)), "waiting for sales"),
        (Phase(kind="conference", started=0, place="room_1"), "in conference room 1"),
        (Phase(kind="conference", started=0), "in a conference"),
        (Phase(kind="voicemail", started=0, party=Party(user_id=1)), "voicemail of 青木 愛子"),
        (Phase(kind="voicemail", started=0), "voicemail"),
        (Phase(kind="queued", started=0), "waiting"),
        (Phase(kind="parked", started=0), "parked"),
        (Phase(kind="other", started=0, place="bridged"), "announcement or music"),
        (Phase(kind="other", started=0, place="ringing"), "ringing tone"),
        (Phase(kind="other", started=0, place="new_operation"), "new operation"),
        (Phase(kind="unknown", started=0), ""),
    ],
)
def test_phase_is_shown_with_place_and_party(labels, phase, text):
    assert labels.phase(phase) == text


@pytest.mark.parametrize(
    ("element", "text"),
    [
        (Group(id=9, type=0, main_extension="1900"), "extension 1900, ring group"),
        (Group(id=9, type=1), "hunt group"),
        (Group(id=9, type=7), ""),
        (Terminal(id=5, assoc_user_id=1, registered=1), "phone of 青木 愛子, registered"),
        (Terminal(id=5, assoc_user_id=77, registered=0), "phone of user 77, not registered"),
        (GroupMember(user_id=1, login_status=3), "login status 3"),
    ],
)
def test_known_values_have_words_and_unknown_ones_are_shown_as_they_are(labels, element, text):
    assert labels.activity(element) == text
