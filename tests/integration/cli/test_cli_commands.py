"""Commands ``hangup``, ``park`` and ``transfer`` against a simulated PBX."""

from __future__ import annotations

import json
import logging
import signal

import pytest
from support.cli_runner import run_in_process, start
from support.example_connections import connection_environment
from support.garbled_pbx import garbled_pbx
from support.secret_scanner import SIMULATOR_TOKEN
from support.waiting import wait_until

from basix_ws_cti import Channel, Mirror, User
from basix_ws_cti.cli.channel_commands import (
    NoSuchChannelError,
    SendingPolicy,
    describe_channel,
    find_channel,
)
from basix_ws_cti.cli.commands.transfer import (
    NoExtensionError,
    NoSuchUserError,
    find_destination,
    find_user,
)
from basix_ws_cti.exceptions import (
    ConnectionLost,
    DecodeError,
    LoggedOut,
    ResyncRequired,
    UsageError,
)
from basix_ws_cti.messages import InitialInfo
from basix_ws_cti.simulator import Pbx, Person, Simulator, faults
from basix_ws_cti.simulator.scenarios import populate

UNANSWERED = "was seen within 0.2 s: its outcome is unknown"


@pytest.fixture
def pbx():
    with Simulator(calls=False) as pbx:
        yield pbx


@pytest.fixture
def caller_uuid(pbx):
    """Channel of a customer who talks to user 1001."""
    uuid = pbx.call("0312341234", to="1001")
    pbx.answer(uuid)
    return uuid


def command(pbx, *arguments):
    """Run a command to its end and check that it does not print the token."""
    done = run_in_process(*arguments, env=connection_environment(pbx))
    assert SIMULATOR_TOKEN not in done.stdout + done.stderr
    return done


def channels(pbx):
    return pbx.snapshot()["channel"]


def user_leg_of(pbx, caller_uuid):
    """Return the leg of the user at the other end of a caller."""
    return channels(pbx)[caller_uuid]["other_uuid"]


def ringing_leg(pbx):
    """Start a call and return the leg that rings: the PBX neither parks nor transfers it."""
    (uuid,) = (leg.uuid for leg in pbx.pbx.ringing_for(pbx.pbx.channel(pbx.call("0312341234"))))
    return uuid


# -- effects ---------------------------------------------------------------------------


@pytest.mark.slow
def test_hangup_ends_both_legs(pbx, caller_uuid):
    """When the command returns, the channel and the leg at its other end are gone."""
    done = command(pbx, "hangup", caller_uuid)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"hung up {caller_uuid} (0312341234 -> ")
    assert channels(pbx) == {}


@pytest.mark.slow
@pytest.mark.parametrize("named_leg", ["caller", "user"])
def test_park_parks_the_caller_and_prints_the_slot(pbx, caller_uuid, named_leg):
    """The caller is parked, whichever of the two legs is named."""
    done = command(
        pbx, "park", caller_uuid if named_leg == "caller" else user_leg_of(pbx, caller_uuid)
    )
    assert (done.returncode, done.stderr) == (0, "")
    (state,) = (channel["state"] for channel in channels(pbx).values())
    assert state["name"] == "park"
    assert done.stdout.startswith(f"parked on {state['data']['slot']}: {caller_uuid} ")


def test_park_timeout_reaches_the_pbx(pbx, caller_uuid):
    """After ``--park-timeout`` the phone of the user who parked the call rings."""
    assert command(pbx, "park", caller_uuid, "--park-timeout", 90).returncode == 0
    pbx.advance(91)
    assert channels(pbx)[caller_uuid]["state"]["name"] == "calling"


@pytest.mark.slow
@pytest.mark.parametrize("destination", ["0398769876", "1002", "user:10001002", "user:user2"])
def test_transfer_calls_the_destination(pbx, caller_uuid, destination):
    """The channel leaves its other leg and calls the destination."""
    user_leg_uuid = user_leg_of(pbx, caller_uuid)
    done = command(pbx, "transfer", caller_uuid, destination)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"transferred: {caller_uuid} (")
    assert done.stdout.endswith(", calling)\n")
    now = channels(pbx)
    assert user_leg_uuid not in now
    assert now[caller_uuid]["state"]["name"] == "calling"
    if destination != "0398769876":
        assert now[caller_uuid]["state"]["data"]["user_id"] == 10001002


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "sent"),
    [
        ("hangup", [], {"cmd": "hangup"}),
        ("park", ["--park-timeout", 9], {"cmd": "park", "timeout": 9}),
        ("transfer", ["1002"], {"cmd": "transfer", "destination": "1002"}),
        ("transfer", ["user:user2"], {"cmd": "transfer", "destination": "1002"}),
        (
            "transfer",
            ["1002", "--as-user", "1001"],
            {
                "cmd": "transfer",
                "user_id": 10001001,
                "user_name": "user1",
                "destination": "1002",
            },
        ),
    ],
)
def test_dry_run_prints_the_command_and_sends_nothing(pbx, caller_uuid, name, arguments, sent):
    before = channels(pbx)
    done = command(pbx, name, caller_uuid[:13], *arguments, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {**sent, "uuid": caller_uuid}
    assert channels(pbx) == before


@pytest.mark.parametrize(
    ("name", "arguments"), [("hangup", []), ("park", []), ("transfer", [1002])]
)
def test_no_confirm_returns_once_the_command_is_sent(pbx, caller_uuid, name, arguments):
    """The command still takes effect."""
    before = channels(pbx)
    done = command(pbx, name, caller_uuid, *arguments, "--no-confirm")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"sent: {name} of {caller_uuid} (")
    wait_until(lambda: channels(pbx) != before)


# -- channel selection --------------------------------------------------------------------------


@pytest.mark.slow
def test_channel_is_found_by_uuid_prefix_or_number(pbx):
    """A uuid prefix, or a number in any spelling, selects the only channel that matches."""
    one, two = pbx.call("09011112222", to="1001"), pbx.call("09033334444", to="1002")
    for caller_uuid in (one, two):
        pbx.answer(caller_uuid)
        pbx.park(caller_uuid)  # the other leg is gone
    assert command(pbx, "hangup", "090-1111-2222").returncode == 0
    assert [*channels(pbx)] == [two]
    assert command(pbx, "hangup", two[:18]).returncode == 0
    assert channels(pbx) == {}


@pytest.mark.slow
def test_unknown_channel_is_an_error(pbx, caller_uuid):
    """Nothing is sent, and the exit code is 1."""
    before = channels(pbx)
    for name, *more in (("hangup",), ("transfer", "1002")):
        done = command(pbx, name, "no-such-uuid", *more)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "basix-ws-cti: no channel matches no-such-uuid; nothing was sent\n"
    assert channels(pbx) == before


def test_ambiguous_channel_is_refused(pbx, caller_uuid):
    """The error lists all channels that match; the exit code is 2."""
    before = channels(pbx)
    done = command(pbx, "hangup", "0312341234")
    assert (done.returncode, done.stdout) == (2, "")
    first, *others = done.stderr.splitlines()
    assert "nothing was sent" in first
    assert sorted(other.split()[0] for other in others) == sorted(
        [caller_uuid, user_leg_of(pbx, caller_uuid)]
    )
    assert channels(pbx) == before


def mirror(*legs):
    made = Mirror()
    made.apply(InitialInfo("channel", {leg.uuid: leg for leg in legs}))
    return made


def test_find_channel_prefers_an_exact_uuid():
    """An exact uuid wins over longer ones; a prefix needs at least four characters."""
    legs = [Channel(uuid=uuid) for uuid in ("abcd", "abcd-e", "1234-5", "xyz")]
    state = mirror(*legs, Channel(uuid="q", calling_number="1234", called_number="777"))
    assert find_channel(state, "abcd") is legs[0]
    assert find_channel(state, "abcd-") is legs[1]
    assert find_channel(state, "xyz") is legs[3]
    assert find_channel(state, "777").uuid == "q"
    for text in ("xy", "", "abc", "77", "abcde"):
        with pytest.raises(NoSuchChannelError):
            find_channel(state, text)
    with pytest.raises(UsageError) as caught:
        find_channel(state, "1234")  # number of one channel, uuid prefix of another
    assert "q (1234 -> 777, ?)" in str(caught.value)
    assert "1234-5 (? -> ?, ?)" in str(caught.value)


def test_control_characters_are_escaped():
    """Text of a peer or of the user cannot steer the terminal."""
    assert "\x1b" not in describe_channel(Channel(uuid="a\x1b[2J", calling_number="\x1b]0;x\x07"))
    with pytest.raises(NoSuchChannelError) as caught:
        find_channel(mirror(), "\x1b[2J")
    assert "\x1b" not in str(caught.value)


# -- destination of a transfer -------------------------------------------------------------


def directory(*users):
    made = Mirror()
    made.apply(InitialInfo("user", {user.id: user for user in users}))
    return made


USERS = (
    User(id=7, name="sato", label="Sato", main_extension="1007"),
    User(id=8, name="7", main_extension="1008"),
    User(id=9, name="twin", main_extension="1009"),
    User(id=10, name="twin"),
    User(id=11, name="no-phone", main_extension=""),
)


@pytest.mark.parametrize(
    ("destination", "number"),
    [
        ("1002", "1002"),
        ("03-1234-1234", "03-1234-1234"),
        ("user:7", "1007"),  # an id counts before a name
        ("user:8", "1008"),
        ("user:sato", "1007"),
    ],
)
def test_destination_is_a_number_or_the_extension_of_a_user(destination, number):
    assert find_destination(directory(*USERS), destination) == number


@pytest.mark.parametrize("user", ["nobody", "12", "Sato", "\u0667", "9" * 30, "user:7", "\x1b[2J"])
def test_unknown_user_is_no_destination(user):
    """A label, or a number in other digits, is no id or name."""
    with pytest.raises(NoSuchUserError, match="no user has the id or name") as caught:
        find_destination(directory(*USERS), f"user:{user}")
    assert "nothing was sent" in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_unknown_user_suggests_a_similar_name():
    with pytest.raises(NoSuchUserError) as caught:
        find_user(directory(*USERS), "user:Satoh")
    assert str(caught.value) == (
        "no user has the id or name Satoh; nothing was sent; did you mean user:sato?"
    )


def test_ambiguous_user_is_no_destination():
    """The error lists the users' ids."""
    with pytest.raises(UsageError) as caught:
        find_destination(directory(*USERS), "user:twin")
    assert str(caught.value).splitlines() == [
        "several users have the name twin; nothing was sent:",
        "  user:9 (extension 1009)",
        "  user:10 (extension ?)",
    ]


@pytest.mark.parametrize("user", ["no-phone", "10"])
def test_user_without_extension_is_no_destination(user):
    with pytest.raises(NoExtensionError, match=f"the user {user} has no extension"):
        find_destination(directory(*USERS), f"user:{user}")


@pytest.mark.parametrize(("text", "user_id"), [("1008", 8), ("user:7", 7), ("user:sato", 7)])
def test_user_is_found_by_extension_id_or_name(text, user_id):
    assert find_user(directory(*USERS), text).id == user_id


@pytest.mark.parametrize("extension", ["7", "sato", "1002", "\x1b[2J"])
def test_unknown_extension_is_no_user(extension):
    """Without ``user:``, a text is no id and no name."""
    with pytest.raises(NoSuchUserError, match="no user has the extension") as caught:
        find_user(directory(*USERS), extension)
    assert "\x1b" not in str(caught.value)


@pytest.mark.slow
def test_call_is_transferred_on_behalf_of_a_user(pbx, caller_uuid):
    """A transfer on behalf of an unknown user sends nothing; the exit code is 1."""
    before = channels(pbx)
    done = command(pbx, "transfer", caller_uuid, "1002", "--as-user", "user:nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no user has the id or name nobody; nothing was sent" in done.stderr
    assert channels(pbx) == before
    done = command(pbx, "transfer", caller_uuid, "1002", "--as-user", "user:user1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"transferred: {caller_uuid} (")


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--no-confirm"]])
def test_transfer_to_an_unknown_user_sends_nothing(pbx, caller_uuid, more):
    """The exit code is 1."""
    before = channels(pbx)
    done = command(pbx, "transfer", caller_uuid, "user:nobody", *more)
    assert (done.returncode, done.stdout) == (1, "")
    error = "no user has the id or name nobody; nothing was sent"
    assert done.stderr == f"basix-ws-cti: {error}\n"
    assert channels(pbx) == before


# -- failures ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments"), [("hangup", []), ("park", []), ("transfer", ["1002"])]
)
def test_missing_effect_is_reported_as_unknown(name, arguments):
    """If no effect is seen before the timeout, the exit code is 1."""

    class UnresponsivePbx(Pbx):
        def hang_up(self, *_, **__):
            pass

    model = UnresponsivePbx()
    populate(model, 2)
    with Simulator(calls=False, pbx=model) as pbx:
        done = command(pbx, name, ringing_leg(pbx), *arguments, "--timeout", 0.2)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"basix-ws-cti: no effect of {name} {UNANSWERED}\n"


@pytest.fixture
def is_command_ignored(caplog):
    """Return a function that is true once the PBX has received and ignored a command."""
    caplog.set_level(logging.INFO, "basix_ws_cti.simulator")
    return lambda: "command ignored" in caplog.text


@pytest.mark.slow
def test_transfer_fails_when_the_channel_ends(pbx, is_command_ignored):
    ringing = ringing_leg(pbx)
    process = start("transfer", ringing, "1002", "--timeout", 60, env=connection_environment(pbx))
    wait_until(is_command_ignored)
    pbx.answer(ringing)
    pbx.hangup(ringing)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert f"the channel has ended: {ringing}" in err


@pytest.mark.slow
def test_wait_for_the_effect_survives_a_reconnect(pbx, is_command_ignored):
    """After a reconnect the new snapshot decides about the effect."""
    ringing = ringing_leg(pbx)
    process = start("transfer", ringing, "1002", "--timeout", 60, env=connection_environment(pbx))
    wait_until(is_command_ignored)
    pbx.inject(faults.Drop())
    pbx.answer(ringing)
    pbx.transfer(ringing, "1002")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.startswith(f"transferred: {ringing} ")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_interrupt_exits_quietly_with_130(pbx, is_command_ignored, signum):
    process = start(
        "transfer", ringing_leg(pbx), "1002", "--timeout", 60, env=connection_environment(pbx)
    )
    wait_until(is_command_ignored)
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")


@pytest.mark.parametrize(
    ("changed", "code", "word"),
    [
        ({"BASIX_TOKEN": "wrong"}, 3, "refused the login"),
        ({"BASIX_SERVER": "ws://127.0.0.1:1"}, 4, "cannot connect"),
        ({"BASIX_SERVER": ""}, 2, "--server"),
    ],
)
def test_connection_failures_end_the_command_at_once(pbx, caller_uuid, changed, code, word):
    """Nothing is sent, and the exit code depends on the failure."""
    done = run_in_process("hangup", caller_uuid, env={**connection_environment(pbx), **changed})
    assert (done.returncode, done.stdout) == (code, "")
    assert word in done.stderr
    assert caller_uuid in channels(pbx)


@pytest.mark.parametrize(
    "arguments",
    [
        ["hangup"],
        ["transfer", "a-uuid"],
        ["transfer", "a-uuid", "user:"],
        ["transfer", "a-uuid", ""],
        ["transfer", "a-uuid", "1002", "--as-user", "user:"],
        ["transfer", "a-uuid", "1002", "--as-user", ""],
        ["hangup", "a-uuid", "--timeout", "nan"],
        ["park", "a-uuid", "--park-timeout", "soon"],
    ],
)
def test_invalid_arguments_are_usage_errors(pbx, arguments):
    done = command(pbx, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "sent"),
    [
        ("hangup", [], {"cmd": "hangup"}),
        ("park", [], {"cmd": "park"}),
        ("transfer", ["1002"], {"cmd": "transfer", "destination": "1002"}),
    ],
)
def test_channel_is_found_after_a_frame_that_could_not_be_read(name, arguments, sent):
    """The command waits for another snapshot."""
    model = Pbx()
    populate(model, 2)
    caller = model.receive(Person("0312341234"), "0501234567")
    model.call_user(caller, model.users[10001001])
    with garbled_pbx(model, connections=1) as env:
        done = run_in_process(name, caller.uuid, *arguments, "--dry-run", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {**sent, "uuid": caller.uuid}


RESYNC = ResyncRequired(DecodeError(13, "unreadable"))


def test_second_resync_before_sending_is_final():
    """A PBX whose snapshots all contain an unreadable frame does not delay a command for ever."""
    policy = SendingPolicy()
    assert not policy.classify(RESYNC, False)
    assert policy.classify(RESYNC, False)


def test_connection_errors_are_final_until_the_command_is_sent():
    """The client's own decision that an error is final always holds."""
    policy = SendingPolicy()
    assert policy.classify(ConnectionLost(1006), False)
    policy.is_sent = True
    assert not policy.classify(ConnectionLost(1006), False)
    assert not policy.classify(RESYNC, False)
    assert not policy.classify(RESYNC, False)
    assert policy.classify(LoggedOut(), True)
