"""Commands: their JSON form and the changes that show their effect."""

from __future__ import annotations

import json

import attrs
import pytest
from support.cases import for_each

from basix_ws_cti import Channel, QueuedChannel, UsageError, User
from basix_ws_cti.client.commands import Command, eavesdrop, hangup, park, transfer
from basix_ws_cti.mirror.changes import Added, Changed, Removed
from basix_ws_cti.states import Bridged, Eavesdrop, Park

BRIDGED = Channel(uuid="u", state=Bridged())
PARKED = Channel(uuid="u", state=Park(slot=901))
LISTENING = Channel(uuid="u", state=Eavesdrop(uuid="target"))


def test_hangup_names_the_channel():
    assert hangup("u").sent == {"cmd": "hangup", "uuid": "u"}


def test_park_names_the_channel_and_the_timeout():
    """The timeout is sent only if it was passed; 0 seconds counts as passed."""
    assert park("u").sent == {"cmd": "park", "uuid": "u"}
    assert park("u", 60, "other").sent == {"cmd": "park", "uuid": "u", "timeout": 60}
    assert park("u", 0).sent == {"cmd": "park", "uuid": "u", "timeout": 0}


@for_each("timeout, text", [(60.0, "60"), (-0.0, "0"), (0.5, "0.5")])
def test_park_timeout_is_sent_as_by_javascript(timeout, text):
    assert json.dumps(park("u", timeout).sent["timeout"]) == text


def test_park_ignores_an_invalid_other_channel():
    """If the channel at the other end is no valid key, no channel matches it."""
    for other in (None, [70000], ()):
        has_effect = park("u", None, other).has_effect
        assert has_effect(Added("channel", PARKED))
        assert not has_effect(Added("channel", Channel(uuid="v", state=PARKED.state)))


@for_each("user", [{}, {"user_id": 0}, {"user_name": "taro"}, {"user_id": 1, "user_name": "taro"}])
def test_transfer_names_the_destination_and_the_passed_user(user):
    """The keys come in the JavaScript library's order: the destination is the last."""
    sent = transfer("u", "0312341234", **user).sent
    assert [*sent.items()] == [
        ("cmd", "transfer"),
        ("uuid", "u"),
        *user.items(),
        ("destination", "0312341234"),
    ]


@for_each("destination", ["", None, 1002])
def test_transfer_without_destination_is_a_usage_error(destination):
    """A user's id is no destination."""
    with pytest.raises(UsageError, match="pass a number or an extension as text"):
        transfer("u", destination, user_id=10001002)


def test_eavesdrop_names_plug_target_and_subcommand():
    """The subcommand is sent only if it was passed."""
    whisper = [
        *(("cmd", "eavesdrop"), ("uuid", "plug"), ("target_uuid", "u")),
        ("subcommand", "whisper"),
    ]
    assert [*eavesdrop("plug", "u", "whisper").sent.items()] == whisper
    assert [*eavesdrop("plug", "u").sent.items()] == whisper[:3]


@for_each("command", [hangup("u"), park("u"), transfer("u", "1001"), eavesdrop("p", "u", "listen")])
def test_command_is_a_frozen_json_object(command):
    """The value of ``cmd`` is the name of the command."""
    assert json.loads(json.dumps(command.sent)) == command.sent
    assert command.name == command.sent["cmd"]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        command.sent = {}


def test_effect_of_a_transfer_is_unknown():
    """No change shows the effect for certain."""
    assert transfer("u", "1001").has_effect is None


@for_each(
    "change, shows",
    [
        (Removed("channel", BRIDGED), True),
        (Removed("channel", BRIDGED, synthetic=True), True),
        (Removed("channel", Channel(uuid="other")), False),
        (Removed("queued_channel", QueuedChannel(uuid="u")), False),
        (Removed("user", User(id=1)), False),
        (Changed("channel", BRIDGED, PARKED), False),
        (Added("channel", BRIDGED), False),
    ],
)
def test_removed_channel_shows_a_hangup(change, shows):
    """Another channel, or leaving a queue, does not show it."""
    assert hangup("u").has_effect(change) is shows


@for_each(
    "change, shows",
    [
        (Changed("channel", PARKED, BRIDGED), True),
        (Added("channel", PARKED, synthetic=True), True),
        (Changed("channel", attrs.evolve(PARKED, uuid="leg"), BRIDGED), True),
        (Changed("channel", attrs.evolve(PARKED, uuid="x"), BRIDGED), False),
        (Changed("channel", BRIDGED, PARKED), False),
        (Changed("channel", attrs.evolve(PARKED, state="park"), BRIDGED), False),
        (Removed("channel", PARKED), False),
        (Added("parked_channel", PARKED), False),
        (Changed("user", User(id="u"), User(id="u")), False),
        (Added("channel", attrs.evolve(PARKED, uuid=None)), False),
    ],
)
def test_park_state_shows_parking(change, shows):
    """The channel, or the one at its other end, must be in a park slot."""
    assert park("u", None, "leg").has_effect(change) is shows


@for_each(
    "change, shows",
    [
        (Changed("channel", LISTENING, BRIDGED), True),
        (Added("channel", LISTENING, synthetic=True), True),
        (Changed("channel", attrs.evolve(LISTENING, uuid="x"), BRIDGED), False),
        (Changed("channel", BRIDGED, LISTENING), False),
        (Removed("channel", LISTENING), False),
        (Added("parked_channel", LISTENING), False),
        (Changed("user", User(id="u"), User(id="u")), False),
    ],
)
def test_eavesdrop_state_of_the_plug_shows_eavesdropping(change, shows):
    assert eavesdrop("u", "target").has_effect(change) is shows


def test_channel_without_key_shows_no_parking():
    """Without another end, a parked channel without key does not match."""
    assert park("u").has_effect(Added("channel", attrs.evolve(PARKED, uuid=None))) is False


def test_command_may_be_custom():
    """A custom command has no known effect."""
    command = Command({"cmd": "dance", "steps": 2})
    assert (command.name, command.has_effect) == ("dance", None)


@for_each(
    "make, arguments, options, message",
    [
        (hangup, [None], {}, "uuid must be a str, got None"),
        (hangup, [""], {}, "uuid must not be empty"),
        (park, [5], {}, "uuid must be a str, got int"),
        (
            park,
            ["u", -1],
            {},
            "park_timeout must be a number of seconds, 0 or more (or None), got -1",
        ),
        (
            park,
            ["u", True],
            {},
            "park_timeout must be a number of seconds, 0 or more (or None), got True",
        ),
        (transfer, [5, "1001"], {}, "uuid must be a str, got int"),
        (
            transfer,
            ["u", "1001"],
            {"user_id": "7"},
            "user_id must be an int (or None), got str",
        ),
        (transfer, ["u", "1001"], {"user_id": True}, "user_id must be an int (or None), got bool"),
        (transfer, ["u", "1001"], {"user_name": 7}, "user_name must be a str (or None), got int"),
        (eavesdrop, ["", "u"], {}, "plug_uuid must not be empty"),
        (eavesdrop, ["plug", None], {}, "target_uuid must be a str, got None"),
        (eavesdrop, ["plug", "u", 5], {}, "subcommand must be a str (or None), got int"),
    ],
)
def test_invalid_arguments_of_commands_are_usage_errors(make, arguments, options, message):
    with pytest.raises(UsageError) as caught:
        make(*arguments, **options)
    assert str(caught.value) == message
