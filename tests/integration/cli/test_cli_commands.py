"""``hangup``, ``park`` and ``transfer``, as processes, at a simulated PBX."""

from __future__ import annotations

import json
import logging
import signal

import pytest
from support.cli_runner import run_here, start
from support.example_connections import environment_of
from support.secret_scanner import SIMULATOR_TOKEN
from support.waiting import wait_until

from basix_ws_cti import Channel, Mirror
from basix_ws_cti.cli.call_command import NoSuchChannelError, describe_channel, find_channel
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.messages import InitialInfo
from basix_ws_cti.simulator import Pbx, Simulator, faults

UNANSWERED = "was seen within 0.2 s: its outcome is unknown"


@pytest.fixture
def pbx():
    with Simulator(calls=False) as pbx:
        yield pbx


@pytest.fixture
def line(pbx):
    """A customer's channel that talks to user 1001."""
    uuid = pbx.call("0312341234", to="1001")
    pbx.answer(uuid)
    return uuid


def command(pbx, *arguments):
    """A command that has ended, and has not told the token."""
    done = run_here(*arguments, env=environment_of(pbx))
    assert SIMULATOR_TOKEN not in done.stdout + done.stderr
    return done


def channels(pbx):
    return pbx.snapshot()["channel"]


def own_leg(pbx, line):
    """The user's leg that talks to a customer."""
    return channels(pbx)[line]["other_uuid"]


# -- what they do ---------------------------------------------------------------------------


def test_hangup(pbx, line):
    """The channel is gone when the command says that it is, and so is the leg that it talked to."""
    done = command(pbx, "hangup", line)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"hung up {line} (0312341234 -> ")
    assert channels(pbx) == {}


@pytest.mark.parametrize("whose", ["the caller's", "the user's own"])
def test_park(pbx, line, whose):
    """The caller stands on the slot that is printed, whichever of the two legs was named."""
    done = command(pbx, "park", line if whose == "the caller's" else own_leg(pbx, line))
    assert (done.returncode, done.stderr) == (0, "")
    (state,) = (channel["state"] for channel in channels(pbx).values())
    assert state["name"] == "park"
    assert done.stdout.startswith(f"parked on {state['data']['slot']}: {line} ")


def test_park_for_a_time(pbx, line):
    """--park-timeout reaches the PBX: when it is over, the parker's telephone rings."""
    assert command(pbx, "park", line, "--park-timeout", 90).returncode == 0
    pbx.advance(91)
    assert channels(pbx)[line]["state"]["name"] == "calling"


@pytest.mark.parametrize("target", ["0398769876", "user:10001002"])
def test_transfer(pbx, line, target):
    """The channel has left whom it talked to, and calls the target."""
    own = own_leg(pbx, line)
    done = command(pbx, "transfer", line, target)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"transferred: {line} (")
    assert done.stdout.endswith(", calling)\n")
    now = channels(pbx)
    assert own not in now
    assert now[line]["state"]["name"] == "calling"
    if target != "0398769876":
        assert now[line]["state"]["data"]["user_id"] == 10001002


@pytest.mark.parametrize(
    ("name", "arguments", "sent"),
    [
        ("hangup", [], {"cmd": "hangup"}),
        ("park", ["--park-timeout", 9], {"cmd": "park", "timeout": 9}),
        ("transfer", ["1002"], {"cmd": "transfer", "destination": "1002"}),
        ("transfer", ["user:sato"], {"cmd": "transfer", "user_name": "sato"}),
    ],
)
def test_a_dry_run(pbx, line, name, arguments, sent):
    """--dry-run prints the command as it would be sent, and nothing happens."""
    before = channels(pbx)
    done = command(pbx, name, line[:13], *arguments, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {**sent, "uuid": line}
    assert channels(pbx) == before


@pytest.mark.parametrize(
    ("name", "arguments"), [("hangup", []), ("park", []), ("transfer", [1002])]
)
def test_without_confirmation(pbx, line, name, arguments):
    """--no-confirm ends as soon as the command is sent; it has its effect all the same."""
    before = channels(pbx)
    done = command(pbx, name, line, *arguments, "--no-confirm")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"sent: {name} of {line} (")
    wait_until(lambda: channels(pbx) != before)


# -- which channel --------------------------------------------------------------------------


def test_the_beginning_of_a_uuid_or_a_number(pbx):
    """A beginning, or a number in another spelling, will do where one channel alone fits."""
    one, two = pbx.call("09011112222", to="1001"), pbx.call("09033334444", to="1002")
    for line in (one, two):
        pbx.answer(line)
        pbx.park(line)  # the other leg is gone
    assert command(pbx, "hangup", "090-1111-2222").returncode == 0
    assert [*channels(pbx)] == [two]
    assert command(pbx, "hangup", two[:18]).returncode == 0
    assert channels(pbx) == {}


def test_a_channel_that_is_not_there(pbx, line):
    """An unknown uuid is an error before anything is sent, with exit code 1."""
    before = channels(pbx)
    for name, *more in (("hangup",), ("transfer", "1002")):
        done = command(pbx, name, "no-such-uuid", *more)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "basix-ws-cti: no channel matches no-such-uuid; nothing was sent\n"
    assert channels(pbx) == before


def test_several_channels_fit(pbx, line):
    """What fits several is refused with all of them listed, and exit code 2."""
    before = channels(pbx)
    done = command(pbx, "hangup", "0312341234")
    assert (done.returncode, done.stdout) == (2, "")
    first, *others = done.stderr.splitlines()
    assert "nothing was sent" in first
    assert sorted(other.split()[0] for other in others) == sorted([line, own_leg(pbx, line)])
    assert channels(pbx) == before


def mirror(*legs):
    made = Mirror()
    made.apply(InitialInfo("channel", {leg.uuid: leg for leg in legs}))
    return made


def test_what_fits():
    """A whole uuid wins over longer ones; less than four characters are no beginning."""
    legs = [Channel(uuid=uuid) for uuid in ("abcd", "abcd-e", "1234-5", "xyz")]
    held = mirror(*legs, Channel(uuid="q", calling_number="1234", called_number="777"))
    assert find_channel(held, "abcd") is legs[0]
    assert find_channel(held, "abcd-") is legs[1]
    assert find_channel(held, "xyz") is legs[3]
    assert find_channel(held, "777").uuid == "q"
    for nothing in ("xy", "", "abc", "77", "abcde"):
        with pytest.raises(NoSuchChannelError):
            find_channel(held, nothing)
    with pytest.raises(UsageError) as caught:
        find_channel(held, "1234")  # a number of one, the beginning of another
    assert "q (1234 -> 777, ?)" in str(caught.value)
    assert "1234-5 (? -> ?, ?)" in str(caught.value)


def test_what_others_wrote_is_harmless():
    """What could steer a terminal is not shown, whoever sent it."""
    assert "\x1b" not in describe_channel(Channel(uuid="a\x1b[2J", calling_number="\x1b]0;x\x07"))
    with pytest.raises(NoSuchChannelError) as caught:
        find_channel(mirror(), "\x1b[2J")
    assert "\x1b" not in str(caught.value)


# -- what goes wrong ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"), [("hangup", []), ("park", []), ("transfer", ["user:nobody"])]
)
def test_no_effect(pbx, monkeypatch, name, arguments):
    """An effect that is not seen in time is said to be unknown, with exit code 1."""
    monkeypatch.setattr(Pbx, "hang_up", lambda *_, **__: None)
    waiting = pbx.call("0312341234", to="0398769876")  # which no user could park
    done = command(pbx, name, waiting, *arguments, "--timeout", 0.2)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"basix-ws-cti: no effect of {name} {UNANSWERED}\n"


@pytest.fixture
def ignored(caplog):
    """Whether the PBX has ignored a command: it is sent then."""
    caplog.set_level(logging.INFO, "basix_ws_cti.simulator")
    return lambda: "command ignored" in caplog.text


def test_the_channel_ends_instead(pbx, ignored):
    """A channel that is answered, and then ends, was not sent on: exit code 1."""
    ringing = pbx.call("0312341234", to="1001")
    process = start("transfer", ringing, "user:nobody", "--timeout", 60, env=environment_of(pbx))
    wait_until(ignored)
    pbx.answer(ringing)
    pbx.hangup(ringing)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert f"the channel has ended: {ringing}" in err


def test_a_connection_that_breaks_while_it_waits(pbx, line, ignored):
    """After the command is sent the client comes back, and what it finds counts."""
    process = start("transfer", line, "user:nobody", "--timeout", 60, env=environment_of(pbx))
    wait_until(ignored)
    pbx.inject(faults.Drop())
    pbx.transfer(line, "1002")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.startswith(f"transferred: {line} ")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(pbx, line, ignored, sign):
    """Ctrl-C and SIGTERM while it waits end it with 130, quietly."""
    process = start("transfer", line, "user:nobody", "--timeout", 60, env=environment_of(pbx))
    wait_until(ignored)
    process.send_signal(sign)
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
def test_no_connection(pbx, line, changed, code, word):
    """What keeps it from the PBX ends it at once, with its exit code and nothing sent."""
    done = run_here("hangup", line, env={**environment_of(pbx), **changed})
    assert (done.returncode, done.stdout) == (code, "")
    assert word in done.stderr
    assert line in channels(pbx)


@pytest.mark.parametrize(
    "arguments",
    [
        ["hangup"],
        ["transfer", "a-uuid"],
        ["transfer", "a-uuid", "user:"],
        ["hangup", "a-uuid", "--timeout", "nan"],
        ["park", "a-uuid", "--park-timeout", "soon"],
    ],
)
def test_bad_arguments(pbx, arguments):
    """Arguments that can't be right are usage: exit code 2."""
    done = command(pbx, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
