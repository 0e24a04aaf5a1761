"""Command ``listen`` against a simulated PBX: pipes, signals and invalid input."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from rich.cells import cell_len
from support.cli_runner import environment, run, run_in_process, start
from support.example_connections import connection_environment
from support.paths import TESTS
from support.sizes import NIGHTLY
from support.waiting import TIMEOUT, wait_until

from basix_ws_cti.cli.render.json_schema import build_schema
from basix_ws_cti.simulator import Simulator, faults

VALIDATOR = Draft202012Validator(build_schema())


@contextlib.contextmanager
def quiet_pbx(**options):
    """Yield a PBX that starts no calls, and the environment that connects to it."""
    with Simulator(calls=False, **options) as pbx:
        yield pbx, connection_environment(pbx)


def finish(process):
    """Return the rest of a command's output, and its exit code."""
    out, err = process.communicate(timeout=TIMEOUT)
    assert "Traceback" not in err, err
    return out, err, process.returncode


@contextlib.contextmanager
def running_listen(env, *arguments, **more):
    """Start ``listen`` and kill it at the end of the block."""
    with start("listen", *arguments, env=env, **more) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process, words):
    """Return the lines up to the first one that contains ``words``."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError(f"ended before {words!r}: {process.stderr.read()}")


@pytest.mark.parametrize("program", [["-m", "basix_ws_cti"], ["basix-ws-cti"]])
@pytest.mark.slow
def test_json_lines_of_the_simulator_are_valid(program):
    """Exactly ``--limit`` lines are printed, and each matches the JSON Schema."""
    command = (
        [str(Path(sys.executable).with_name(program[0]))]
        if len(program) == 1
        else [sys.executable, *program]
    )
    if not Path(command[0]).exists():
        pytest.skip("the package is not installed")
    done = subprocess.run(
        [*command, "listen", "--simulate", "--simulate-speed", "200", "--json", "--limit", "60"],
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 60
    for line in lines:
        VALIDATOR.validate(line)


@pytest.mark.slow
def test_lines_of_a_call():
    """Lines have the labels of users, and follow a call from ringing to its end."""
    with quiet_pbx() as (pbx, env), running_listen(env) as process:
        read_until(process, "domain")
        line = pbx.call("0312341234", to="1001")
        printed = read_until(process, "ringing")[-1]
        assert re.search(r"added +channel +山田 太郎 \(0312341234\) -> 佐藤 健 +ringing", printed)
        pbx.answer(line)
        assert "talking with" in read_until(process, "talking")[-1]
        pbx.hangup(line)
        assert "disconnected by the PBX" in read_until(process, "disconnected")[-1]
        process.send_signal(signal.SIGINT)
        assert finish(process) == ("", "", 130) or process.returncode == 130


@pytest.mark.slow
def test_calls_are_filtered_by_user():
    """``--calls`` prints events of calls, only those of the selected user."""
    with quiet_pbx() as (pbx, env):
        arguments = ("--calls", "--json", "--user", "1002", "--event", "ringing", "--limit", "2")
        with running_listen(env, *arguments) as process:

            def has_printed_both():
                for to in ("1001", "1002"):
                    pbx.call("0312341234", to=to)
                return process.poll() is not None

            wait_until(has_printed_both, interval=0.1)
            out, err, code = finish(process)
    assert (code, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["party"]["user_id"] for line in lines] == [10001002] * 2
    for line in lines:
        VALIDATOR.validate(line)


@pytest.mark.parametrize("calls", [[], ["--calls"]])
@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("--user", "佐藤健", "unknown user '佐藤健'; did you mean '佐藤 健'?"),
        ("--user", "nobody", "unknown user 'nobody'; no id, name, extension or label matches"),
        ("--group", "1901", "unknown group '1901'; did you mean '1900'?"),
    ],
)
def test_unknown_user_or_group_is_a_usage_error(calls, option, name, message):
    """The check follows the snapshot, before anything is printed, and needs no further event."""
    with quiet_pbx() as (_, env):
        done = run_in_process("listen", *calls, "--user", "1002", option, name, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_unknown_user_is_accepted_on_demand():
    """``--allow-unknown`` accepts names that are not in the feed (yet)."""
    with quiet_pbx() as (_, env):
        arguments = ("--user", "nobody", "--user", "1002", "--kind", "moon", "--kind", "user")
        done = run_in_process("listen", *arguments, "--allow-unknown", "--limit", "1", env=env)
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 1, "")


def test_filters_by_name_apply_to_the_snapshot():
    """Elements of the snapshot are printed when all of them are known."""
    with quiet_pbx() as (pbx, env):
        pbx.call("0312341234", to="1002")
        pbx.call("0312341234", to="1001")
        done = run_in_process(
            "listen", "--json", "--kind", "channel", "--user", "佐藤 健", "--limit", "2", env=env
        )
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in printed] == ["initial"] * 2
    # The caller's leg, which calls the user, and the user's own.
    ids = {
        line["element"]["user_id"] or line["element"]["state"]["data"]["user_id"]
        for line in printed
    }
    assert ids == {10001001}


# -- pipes and signals ---------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="the closed pipe is noticed at the next line")
@pytest.mark.parametrize("arguments", [["--json"], ["--calls"], []][: None if NIGHTLY else 2])
@pytest.mark.slow
def test_closed_stdout_ends_listen_while_the_feed_is_quiet(arguments):
    """The exit code is 0, and stderr is empty."""
    with quiet_pbx() as (pbx, env), running_listen(env, *arguments) as process:
        wait_until(lambda: pbx.connections)
        process.stdout.close()
        assert process.wait(TIMEOUT) == 0
        err = process.stderr.read()
    assert "Traceback" not in err
    assert "Exception" not in err


_WITHOUT_POLL = """
    import select
    for name in ("poll", "POLLOUT", "PIPE_BUF", "epoll"):
        vars(select).pop(name, None)
    from basix_ws_cti.cli import main
    main()
"""


@pytest.mark.slow
def test_closed_stdout_is_noticed_without_poll():
    """Where poll is missing, as on Windows, the next write finds the closed pipe."""
    command = [sys.executable, "-c", textwrap.dedent(_WITHOUT_POLL), "listen", "--json"]
    with (
        quiet_pbx() as (pbx, env),
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=environment(**env),
        ) as process,
    ):
        read_until(process, '"domain"')
        pbx.msg("read")
        assert '"read"' in read_until(process, '"msg"')[-1]
        process.stdout.close()
        assert process.poll() is None
        pbx.msg("unread")
        assert process.wait(TIMEOUT) == 0
        assert process.stderr.read() == ""


@pytest.mark.slow
def test_head_ends_listen():
    """The command ends when ``head -1`` does, even if the feed is quiet."""
    with quiet_pbx() as (_, env):
        done = subprocess.run(
            f"{sys.executable} -m basix_ws_cti listen --json | head -1; echo ${{PIPESTATUS[0]}}",
            shell=True, executable="/bin/bash", env=environment(**env), capture_output=True,
            encoding="utf-8", timeout=TIMEOUT, check=False,
        )  # fmt: skip
    line, code = done.stdout.splitlines()
    assert json.loads(line)["type"] == "element"
    assert (code, done.stderr) == ("0", "")


@pytest.mark.slow
def test_closed_stdout_during_a_flood_is_no_error():
    with quiet_pbx() as (pbx, env), running_listen(env, "--json") as process:
        read_until(process, '"domain"')
        pbx.inject(faults.Flood(20_000))
        read_until(process, '"updated"')
        process.stdout.close()
        assert process.wait(TIMEOUT) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", ["silent", "unread"])
@pytest.mark.slow
def test_interrupt_exits_with_130(signum, when):
    """This holds even while the output pipe is full."""
    with quiet_pbx() as (pbx, env), running_listen(env, "--json") as process:
        read_until(process, '"domain"')
        if when == "unread":
            pbx.inject(faults.Flood(20_000))
            wait_until(lambda: _is_full(process.stdout))
        process.send_signal(signum)
        assert process.wait(TIMEOUT) == 130
        assert process.stderr.read() == ""


def _is_full(pipe):
    import fcntl
    import termios

    waiting = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, waiting)
    return int.from_bytes(waiting, sys.byteorder) > 40_000  # of 65,536, in pages not quite full


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.slow
def test_slow_reader_gets_the_number_of_lost_items():
    """The connection stays open meanwhile."""
    events = 100_000 if NIGHTLY else 20_000  # more, or less, than sockets hold by themselves
    with quiet_pbx() as (pbx, env), running_listen(env, "--json") as process:
        read_until(process, '"domain"')
        pbx.inject(faults.Flood(events))
        wait_until(lambda: _is_full(process.stdout))
        # The feed is read to its end meanwhile, though the pipe is not.
        wait_until(lambda: pbx.connections[0].frames_sent >= events and _sleeps(process))
        pbx.msg("the end")
        lines = [json.loads(line) for line in read_until(process, "the end")]
        assert len(pbx.connections) == 1
        process.terminate()
        assert finish(process)[1] == ""
    printed = sum(line["type"] == "element" for line in lines)
    missed = sum(line["missed"] for line in lines if line["type"] == "lagged")
    assert missed > 0
    assert printed + missed >= events
    for line in lines[:: len(lines) // 50]:
        VALIDATOR.validate(line)


def _sleeps(process):
    """Return True if a process stays idle for 0.2 s."""
    stat = Path(f"/proc/{process.pid}/stat")
    for _ in range(10):
        if stat.read_text().rpartition(")")[2].split()[0] != "S":
            return False
        time.sleep(0.02)
    return True


# -- failures -----------------------------------------------------------------------


@pytest.mark.slow
def test_gaps_are_reported_on_stderr():
    """Disconnection, retry, reconnect and gap have a line each, without personal data."""
    with quiet_pbx() as (pbx, env), running_listen(env, "--timezone", "Asia/Tokyo") as process:
        pbx.call("0312341234", to="1001")
        read_until(process, "domain")
        pbx.inject(faults.Drop())
        read_until(process, "domain")
        pbx.msg("the end")
        read_until(process, "the end")
        process.terminate()
        _, err, code = finish(process)
    assert code == 130
    clock = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    patterns = [
        rf"{clock} disconnected: the connection was lost \(close code 1006\).*",
        rf"{clock} disconnected: the connection was lost .*; retrying in \d+\.\d s",
        rf"{clock} connected: snapshot received",
        rf"{clock} gap in the feed from {clock} to {clock}, \d+\.\d s: the connection was lost .*",
    ]
    lines = err.splitlines()
    assert len(lines) == len(patterns), err
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(f"basix-ws-cti: {pattern}", line)
    for secret in ("0312341234", "山田", "佐藤", env["BASIX_TOKEN"]):
        assert secret not in err


@pytest.mark.slow
def test_unreadable_frame_is_reported_on_stderr():
    """The command goes on."""
    with quiet_pbx() as (pbx, env), running_listen(env, "--json") as process:
        read_until(process, '"domain"')
        pbx.inject(faults.SendFrame(b"\x83\x61"))
        pbx.msg("the end")
        read_until(process, '"domain"')
        process.terminate()
        _, err, _ = finish(process)
    assert "a frame could not be read" in err


@pytest.mark.parametrize(("text", "code"), [("logout", 3), ("connection_replaced", 4)])
@pytest.mark.slow
def test_final_error_ends_listen(text, code):
    """An error that a retry cannot fix has its exit code and one line."""
    with quiet_pbx() as (pbx, env), running_listen(env) as process:
        read_until(process, "domain")
        pbx.system_msg(text)
        _, err, returned = finish(process)
    assert returned == code, err
    assert len(err.splitlines()) == 2  # the disconnection, and the final error


@pytest.mark.slow
def test_connection_limit_is_retried_with_a_line_that_names_force():
    """The PBX may count the connections of a process that crashed for some minutes."""
    with quiet_pbx(max_connections=1) as (_, env), running_listen(env) as process:
        read_until(process, "domain")
        with running_listen(env) as second:
            line = second.stderr.readline()
        assert "replace the oldest with --force; retrying in" in line
        assert run_in_process("listen", "--force", "--limit", "1", env=env).returncode == 0
        assert finish(process)[2] == 4


# -- terminals -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False),
    ],
)
def test_colours_are_for_terminals(env, coloured):
    """``FORCE_COLOR`` enables colours for pipes; ``NO_COLOR`` always disables them."""
    with quiet_pbx() as (_, connection):
        done = run_in_process("listen", "--limit", "3", env={**connection, **env})
    assert ("\x1b[" in done.stdout) == coloured
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("arguments", "last"), [(["--calls"], "ended:"), ([], "the end")])
@pytest.mark.slow
def test_lines_fit_a_terminal_that_is_resized(arguments, last):
    """Lines are as wide as the terminal, and contain nothing that could steer it."""
    import fcntl
    import pty
    import termios

    master, terminal = pty.openpty()

    def resize(columns):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    resize(80)
    lines = {80: [], 130: []}
    with (
        os.fdopen(master, encoding="utf-8", newline="\n") as screen,
        os.fdopen(terminal, "wb", buffering=0),
        quiet_pbx() as (pbx, connection),
    ):
        for extension in ("1001", "1002"):
            pbx.edit(extension, label="\x1b]0;owned\x07\u202e[bold]" + "ｶﾅ名" * 500)
        env = {**connection, "COLUMNS": "", "TERM": "xterm"}
        with running_listen(env, *arguments, stdout=terminal) as process:
            wait_until(lambda: any(one.frames_sent for one in pbx.connections))
            for columns, printed in lines.items():
                resize(columns)
                line = pbx.call("0312341234", to="1001")
                pbx.answer(line)
                pbx.hangup(line)
                pbx.msg("the end")
                while not printed or last not in printed[-1]:
                    printed.append(screen.readline())
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT) == 130
    for columns, printed in lines.items():
        plain = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in printed]
        assert all(line.isprintable() for line in plain)
        assert max(map(cell_len, plain)) == columns


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("cp932", "佐藤 健"), ("ascii", "??"), ("utf-8", "佐藤 健")][: None if NIGHTLY else 2],
)
@pytest.mark.slow
def test_characters_missing_in_the_encoding(encoding, name):
    """Text for people has a question mark instead, JSON an escape."""
    with quiet_pbx() as (pbx, connection):
        pbx.edit("1002", label="Ünïcode \N{SNOWMAN}")
        env = {**connection, "PYTHONIOENCODING": encoding}
        pbx.call("0312341234", to="1001")
        pbx.call("0312341234", to="1002")
        done = run("state", env=env, encoding=encoding)
        assert done.returncode == 0
        assert name in done.stdout
        done = run("listen", "--json", "--kind", "user", "--limit", "2", env=env, encoding=encoding)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["element"]["label"] for line in lines] == ["佐藤 健", "Ünïcode \N{SNOWMAN}"]
    assert done.stdout.isascii() == (encoding != "utf-8")


@pytest.mark.slow
def test_escape_sequences_in_names_are_escaped():
    """This holds with colours, too."""
    with quiet_pbx() as (pbx, connection):
        pbx.edit("1001", label="\x1b]0;owned\x07\u202e")
        env = {**connection, "FORCE_COLOR": "1"}
        done = run_in_process("state", "--kind", "user", env=env)
        assert r"\x1b]0;owned\x07\u202e" in done.stdout
        pbx.call("0312341234", to="1001")
        shown = run_in_process("listen", "--json", "--kind", "user", "--limit", "1", env=env).stdout
    for text in (done.stdout, shown):
        assert not {"\x1b]", "\x07", "\u202e"} & {*re.findall(r"\x1b\]|\x07|\u202e", text)}


@pytest.mark.parametrize("closed", [1, 2])
@pytest.mark.slow
def test_streams_closed_from_the_start_are_ignored(closed):
    with quiet_pbx() as (_, connection):
        done = subprocess.run(
            f"{sys.executable} -m basix_ws_cti listen --limit 2 {closed}>&-",
            shell=True, env=environment(**connection), capture_output=True, encoding="utf-8",
            timeout=TIMEOUT, check=False,
        )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == ""


# -- many lines ----------------------------------------------------------------------------

_FLOOD = """
    import asyncio, itertools, resource, sys, time
    sys.path.insert(0, {path!r})
    from support.scripted_source import ScriptedSource
    from basix_ws_cti import MessageParser, FieldSpec, InitialInfo
    from basix_ws_cti.cli.commands.listen import FeedOptions, print_source
    from basix_ws_cti.simulator import frames

    def rss():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    parser = MessageParser()
    messages = [parser.parse(frame) for frame in frames("inbound_call", seed=1)]
    opening = [one for one in messages if isinstance(one, (FieldSpec, InitialInfo))]
    events = [one for one in messages if one not in opening]

    def feed():
        yield from opening
        for number, one in enumerate(itertools.cycle(events)):
            if number in ({lines} // 10, {lines} * 9 // 10):
                print(rss(), file=sys.stderr)
            yield one

    began = time.perf_counter()
    asyncio.run(print_source(ScriptedSource(feed()), FeedOptions(json={json}, limit={lines})))
    print(round({lines} / (time.perf_counter() - began)), file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("as_json", [True, False][: None if NIGHTLY else 1])
@pytest.mark.slow
def test_memory_stays_constant_over_many_lines(as_json):
    count = 1_000_000 if NIGHTLY else 10_000
    code = textwrap.dedent(_FLOOD).format(path=str(TESTS), lines=count, json=as_json)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        lines = sum(block.count(b"\n") for block in iter(lambda: process.stdout.read(1 << 16), b""))
        err = process.stderr.read().split()
    assert (process.returncode, lines) == (0, count), err
    early, late, rate = map(int, err[-3:])
    assert late - early < 4 << 20, f"{rate} lines/s"
