from __future__ import annotations

import json

import attrs
import pytest

from basix_ws_cti import Channel, QueuedChannel, UsageError, User
from basix_ws_cti.client.commands import Command, eavesdrop, hangup, park, transfer
from basix_ws_cti.mirror.changes import Added, Changed, Removed
from basix_ws_cti.states import Bridged, Park

TALKS = Channel(uuid="u", state=Bridged())
PARKED = Channel(uuid="u", state=Park(slot=901))


def test_hangup():
    """A hang-up names the channel."""
    assert hangup("u").sent == {"cmd": "hangup", "uuid": "u"}


def test_park():
    """Parking names the channel, and for how long if somebody said so; 0 seconds is said."""
    assert park("u").sent == {"cmd": "park", "uuid": "u"}
    assert park("u", 60, "other").sent == {"cmd": "park", "uuid": "u", "timeout": 60}
    assert park("u", 0).sent == {"cmd": "park", "uuid": "u", "timeout": 0}


def test_parking_beside_something_odd():
    """The channel at the other end may be named by what nothing could be: then nothing fits it."""
    for other in (None, [70000], ()):
        has_effect = park("u", None, other).has_effect
        assert has_effect(Added("channel", PARKED))
        assert not has_effect(Added("channel", Channel(uuid="v", state=PARKED.state)))


@pytest.mark.parametrize(
    "where",
    [
        {"user_id": 0},
        {"user_name": "taro"},
        {"destination": "0312341234"},
        {"destination": ""},
        {"user_id": 1, "user_name": "taro", "destination": "1001"},
    ],
)
def test_transfer(where):
    """A transfer says where to, by what was given alone."""
    assert transfer("u", **where).sent == {"cmd": "transfer", "uuid": "u", **where}


def test_a_transfer_to_nowhere():
    """A transfer that nothing says the way to is a UsageError that names the parameters."""
    with pytest.raises(UsageError, match="user_id, user_name or destination"):
        transfer("u", user_id=None)


def test_eavesdrop():
    """Listening in names one's own plug, whom to listen to, and how."""
    assert eavesdrop("plug", "u", "whisper").sent == {
        "cmd": "eavesdrop",
        "uuid": "plug",
        "target_uuid": "u",
        "subcommand": "whisper",
    }


@pytest.mark.parametrize(
    "command", [hangup("u"), park("u"), transfer("u", user_id=1), eavesdrop("p", "u", "listen")]
)
def test_a_command_is_json(command):
    """Every command is a JSON object whose ``cmd`` is its name, and can't be changed."""
    assert json.loads(json.dumps(command.sent)) == command.sent
    assert command.name == command.sent["cmd"]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        command.sent = {}


@pytest.mark.parametrize("command", [transfer("u", user_id=1), eavesdrop("plug", "u", "listen")])
def test_commands_that_nothing_shows(command):
    """Of a transfer and of listening in, no change is known to show the effect."""
    assert command.has_effect is None


@pytest.mark.parametrize(
    ("change", "shows"),
    [
        (Removed("channel", TALKS), True),
        (Removed("channel", TALKS, synthetic=True), True),
        (Removed("channel", Channel(uuid="other")), False),
        (Removed("queued_channel", QueuedChannel(uuid="u")), False),
        (Removed("user", User(id=1)), False),
        (Changed("channel", TALKS, PARKED), False),
        (Added("channel", TALKS), False),
    ],
)
def test_what_shows_a_hangup(change, shows):
    """A hang-up shows when that channel is gone, not when it left a queue or another went."""
    assert hangup("u").has_effect(change) is shows


@pytest.mark.parametrize(
    ("change", "shows"),
    [
        (Changed("channel", PARKED, TALKS), True),
        (Added("channel", PARKED, synthetic=True), True),
        (Changed("channel", attrs.evolve(PARKED, uuid="leg"), TALKS), True),
        (Changed("channel", attrs.evolve(PARKED, uuid="x"), TALKS), False),
        (Changed("channel", TALKS, PARKED), False),
        (Changed("channel", attrs.evolve(PARKED, state="park"), TALKS), False),
        (Removed("channel", PARKED), False),
        (Added("parked_channel", PARKED), False),
        (Changed("user", User(id="u"), User(id="u")), False),
        (Added("channel", attrs.evolve(PARKED, uuid=None)), False),
    ],
)
def test_what_shows_parking(change, shows):
    """Parking shows when the channel, or the one at its other end, is on a slot."""
    assert park("u", None, "leg").has_effect(change) is shows


def test_a_channel_without_a_key_shows_no_parking():
    """Without an other end to look for, a parked channel that has no key is not taken for it."""
    assert park("u").has_effect(Added("channel", attrs.evolve(PARKED, uuid=None))) is False


def test_a_command_of_ones_own():
    """A command may be anything with a name; by itself nothing shows its effect."""
    command = Command({"cmd": "dance", "steps": 2})
    assert (command.name, command.has_effect) == ("dance", None)
