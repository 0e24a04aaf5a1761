"""Known names of kinds and events, and errors for others."""

from __future__ import annotations

from typing import get_args

import pytest
from support.cases import for_each

from basix_ws_cti import CallEvent, UsageError
from basix_ws_cti.calls.event_json import event_name
from basix_ws_cti.cli.commands.listen import FeedOptions
from basix_ws_cti.cli.commands.state import StateOptions, print_state
from basix_ws_cti.cli.feed_names import CALL_EVENTS, KINDS, check_events, check_kinds
from basix_ws_cti.cli.options import ConnectionOptions, parse_timezone
from basix_ws_cti.cli.suggestions import suggest, unknown_name
from basix_ws_cti.parsing.record_decoder import ELEMENTS


def message_of(function, *arguments, **options):
    """Return the text of the usage error that a call raises."""
    with pytest.raises(UsageError) as caught:
        function(*arguments, **options)
    return str(caught.value)


def test_kinds_are_those_that_the_parser_knows():
    assert [*ELEMENTS] == [*KINDS]


def test_call_events_are_those_of_the_call_tracker():
    assert {event_name(kind) for kind in get_args(CallEvent)} == {*CALL_EVENTS}


@for_each(
    "name, message",
    [
        ("chanel", "unknown kind 'chanel'; did you mean 'channel'?"),
        ("CHANNEL", "unknown kind 'CHANNEL'; did you mean 'channel'?"),
        ("users", "unknown kind 'users'; did you mean 'user'?"),
        (
            "moon",
            (
                "unknown kind 'moon'; known: channel, channel_waiting, queued_channel, "
                "parked_channel, user, group, group_member, terminal, domain; --allow-unknown "
                "accepts others"
            ),
        ),
    ],
)
def test_unknown_kind_suggests_a_similar_one(name, message):
    assert message_of(check_kinds, ["user", name]) == message


@for_each(
    "name, calls, message",
    [
        ("aded", False, "unknown event 'aded'; did you mean 'added'?"),
        ("ring", True, "unknown call event 'ring'; did you mean 'ringing'?"),
        (
            "zzz",
            False,
            (
                "unknown event 'zzz'; known: initial, added, updated, removed; --allow-unknown "
                "accepts others"
            ),
        ),
        (
            "initial",
            True,
            (
                "unknown call event 'initial'; known: started, ringing, answered, parked, "
                "retrieved, transferred, updated, ended"
            ),
        ),
    ],
)
def test_unknown_event_suggests_a_similar_one(name, calls, message):
    assert message_of(check_events, [name], calls=calls) == message


@for_each(
    "options", [{"kind": ["chanel"]}, {"event": ["aded"]}, {"calls": True, "event": ["ring"]}]
)
def test_unknown_names_are_found_before_connecting(options):
    """``listen`` and ``replay`` check their filters first."""
    assert "did you mean" in message_of(FeedOptions(**options).filters)


def test_unknown_kind_of_state_is_found_before_connecting():
    options = StateOptions(kind=["chanel"])
    assert "'channel'?" in message_of(print_state, ConnectionOptions(), options)


@for_each("options", [{"kind": ["moon"]}, {"event": ["moved"]}])
def test_names_of_a_newer_pbx_are_accepted_on_demand(options):
    """``--allow-unknown`` is for them."""
    filters = FeedOptions(**options, allow_unknown=True).filters()
    assert filters.kinds | filters.events == {*next(iter(options.values()))}


def test_unknown_call_event_is_an_error_in_any_case():
    """Call events are derived by this library, so a newer PBX has no others."""
    options = FeedOptions(calls=True, event=["moved"], allow_unknown=True)
    assert message_of(options.filters).startswith("unknown call event 'moved'; known: started")


def test_unknown_time_zone_suggests_a_similar_one():
    assert message_of(parse_timezone, "asia/tokio") == (
        "unknown time zone 'asia/tokio'; did you mean 'Asia/Tokyo'?"
    )
    assert message_of(parse_timezone, "xyz") == (
        "unknown time zone 'xyz'; pass an IANA name such as Asia/Tokyo"
    )


def test_suggestion_ignores_case_and_far_names():
    assert suggest("AIKO", ["ben", "Aiko"]) == "Aiko"
    assert suggest("zoe", ["ben", "aiko"]) is None
    assert suggest("zoe", []) is None


def test_message_contains_no_control_characters():
    """Names come from the feed, too."""
    text = str(unknown_name("user", "a\x1b[1mb", ["a\x1b[1mc"]))
    assert text.isprintable()
    assert str(unknown_name("user", "a", [])) == "unknown user 'a'"
