"""Command ``top`` as a process in a pseudo-terminal."""

from __future__ import annotations

import re
import signal

import pytest
from support.cli_runner import run_in_process
from support.wallboard_screens import Terminal

from basix_ws_cti.simulator import Simulator, faults

QUICK = ("top", "--simulate", "--simulate-speed", "20", "--simulate-seed", "3")


def shows_a_talking_user(text):
    """Return a match if the headline counts users who talk."""
    return re.search(r"^ Waiting .*Talking .*\n (\S+ +){2}[1-9]", text, re.MULTILINE)


def arguments_for(pbx, token):
    """Return arguments and environment to connect to a simulator with a token."""
    options = pbx.connect_args
    return (
        ("top", "--server", options["server"], "--domain", options["domain"], "--full-events"),
        {"BASIX_TOKEN": token},
    )


@pytest.mark.parametrize("arguments", [("top", "--simulate"), ("top",)])
def test_top_without_a_terminal_is_a_usage_error(arguments):
    """The error is one line that names the alternatives ``state`` and ``listen``."""
    done = run_in_process(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "top needs a terminal" in done.stderr
    assert "state" in done.stderr
    assert "listen" in done.stderr


@pytest.mark.parametrize("command", [("top", "--simulate"), ("replay", "none.rec", "--top")])
@pytest.mark.parametrize("option", ["--wait-limits", "--answer-limits", "--park-limits"])
@pytest.mark.parametrize(
    "limits", ["", "60", "60,", "120,60", "60,60", "0,60", "1,2,3", "a,b", "1,nan"]
)
def test_limits_that_are_not_two_ascending_numbers_are_usage_errors(command, option, limits):
    done = run_in_process(*command, option, limits)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"basix-ws-cti: {option} must be two ascending numbers of seconds, such as 60,120, "
        f"got {limits!r}\n"
    )


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40), (200, 60)])
@pytest.mark.slow
def test_top_fills_the_terminal(columns, rows):
    """All tables and the keys are visible at two sizes; q leaves and restores the terminal."""
    with Terminal(*QUICK, columns=columns, rows=rows) as terminal:
        for condition in (shows_a_talking_user, "サポート", "q Quit"):
            terminal.wait_for(condition)
        lines = terminal.lines
        assert lines[0].startswith(" live ")
        for title in ("Calls", "Queues", "Users", "Parked", "Feed"):
            terminal.wait_for(f"─{title}")
        assert "q Quit" in lines[-1]
        terminal.type("q")
        assert terminal.wait_for_exit() == 0
        assert terminal.is_restored


@pytest.mark.slow
def test_keys_and_resizing():
    """Pause, filter and details have keys, and the screen follows the size of the terminal."""
    with Simulator(calls=False, token="right") as pbx:
        pbx.answer(pbx.call(to="1001"))  # the call stays active
        arguments, env = arguments_for(pbx, "right")
        with Terminal(*arguments, env=env) as terminal:
            terminal.wait_for(shows_a_talking_user)
            terminal.type("p")
            terminal.wait_for("PAUSED")
            terminal.resize(160, 50)
            terminal.wait_for(lambda text: "Total" in text and "q Quit" in text.splitlines()[-1])
            terminal.type("/no/body")
            terminal.wait_for("Calls 0 of ")
            terminal.wait_for("no/body")
            terminal.type("\x1b")
            terminal.wait_for(lambda text: "Calls 0 of " not in text)
            terminal.type("\r")
            terminal.wait_for("Phase")
            terminal.type("\x03")
            assert terminal.wait_for_exit() == 130
            assert terminal.is_restored


@pytest.mark.slow
def test_timezone_sets_the_clock():
    """All times are simulated ones. An unknown time zone is a usage error."""
    with Terminal(*QUICK[:2], "--timezone", "Asia/Tokyo", env={"TZ": "UTC"}) as terminal:
        terminal.wait_for("live")
        assert re.search(r" 09:\d\d:\d\d", terminal.lines[0])  # the simulated day begins at 0 UTC
        terminal.wait_for(lambda text: re.search(r"^09:\d\d:\d\d live", text, re.MULTILINE))
        terminal.type("q")
        assert terminal.wait_for_exit() == 0
    assert run_in_process("top", "--timezone", "Asia/Atlantis").returncode == 2


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.slow
def test_signals_restore_the_terminal(signum):
    """SIGTERM and SIGINT exit with 130."""
    with Terminal(*QUICK) as terminal:
        terminal.wait_for("Calls")
        terminal.process.send_signal(signum)
        assert terminal.wait_for_exit() == 130
        assert terminal.is_restored
        assert b"Traceback" not in terminal.raw


@pytest.mark.parametrize(
    ("env", "encoding"),
    [
        ({"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": ""}, "utf-8"),
        ({"PYTHONIOENCODING": "cp932"}, "cp932"),
    ],
)
@pytest.mark.slow
def test_narrow_encodings_are_supported(env, encoding):
    """The screen uses only characters of the terminal's encoding."""
    with Terminal(*QUICK, env=env, encoding=encoding) as terminal:
        terminal.wait_for(shows_a_talking_user)
        terminal.wait_for("q Quit")
        assert ("-Calls" in terminal.text) == (encoding != "utf-8")
        terminal.wait_for("サポート")
        terminal.type("q")
        assert terminal.wait_for_exit() == 0


@pytest.mark.slow
def test_refused_login_ends_top():
    """The terminal is restored, and the error is one line without the token."""
    with Simulator(token="right") as pbx:
        arguments, env = arguments_for(pbx, "wr0ng-secret")
        with Terminal(*arguments, env=env) as terminal:
            assert terminal.wait_for_exit() == 3
            assert terminal.is_restored
            left = terminal.raw.rpartition(b"\x1b[?1049l")[2]
            assert left.count(b"basix-ws-cti: ") == 1
            assert b"401" in left
            assert b"wr0ng" not in terminal.raw
            assert b"Traceback" not in terminal.raw


@pytest.mark.slow
def test_logout_ends_top():
    with Simulator(token="right") as pbx:
        arguments, env = arguments_for(pbx, "right")
        with Terminal(*arguments, env=env) as terminal:
            terminal.wait_for(" live ")
            pbx.system_msg("logout")
            assert terminal.wait_for_exit() == 3
            assert terminal.is_restored


@pytest.mark.slow
def test_gap_is_shown_on_the_screen():
    """Log output is deferred until the screen is left."""
    with Simulator(token="right") as pbx:
        arguments, env = arguments_for(pbx, "right")
        arguments = (*arguments, "--log-level", "warning")
        with Terminal(*arguments, columns=160, rows=50, env=env) as terminal:
            terminal.wait_for(" live ")
            pbx.inject(faults.Reset())
            terminal.wait_for("gap from")
            terminal.wait_for("1 gap")
            assert "WARNING" not in terminal.text
            terminal.type("q")
            assert terminal.wait_for_exit() == 0
            assert b"no feed from" in terminal.raw.rpartition(b"\x1b[?1049l")[2]
