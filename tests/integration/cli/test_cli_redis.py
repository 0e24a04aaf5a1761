"""Option ``--redis``: the feed of a publisher instead of a PBX."""

from __future__ import annotations

import json
import signal
import sqlite3
import threading

import pytest
from support.cli_runner import run, run_in_process, start
from support.redis_server import RedisServer
from support.sqlite_files import sqlite_connection
from support.stream_source import StreamSource
from support.waiting import wait_until

from basix_ws_cti.cli.redis_options import PASSWORD_VARIABLE, redis_url
from basix_ws_cti.exceptions import UsageError


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.close()


@pytest.fixture
def source(redis_server):
    redis_server.client.flushall()
    source = StreamSource(redis_server.client)
    source.ring("u1")
    source.begin()
    return source


@pytest.mark.redis
@pytest.mark.slow
@pytest.mark.usefixtures("source")
def test_state_prints_the_state_of_the_stream(redis_server):
    done = run_in_process("state", "--json", "--redis", redis_server.url)
    assert done.returncode == 0, done.stderr
    elements = json.loads(done.stdout)["elements"]
    assert [one["label"] for one in elements["user"]] == ["a", "a", "a"]
    assert [one["uuid"] for one in elements["channel"]] == ["u1"]


@pytest.mark.redis
@pytest.mark.slow
def test_listen_prints_events_of_another_stream(redis_server):
    source = StreamSource(redis_server.client, name="other")
    source.begin()
    process = start(
        *("listen", "--json", "--kind", "user", "--event", "updated", "--limit", "2"),
        *("--redis", redis_server.url, "--redis-stream", "other"),
    )
    stop = threading.Event()

    def work():
        number = 0
        while not stop.wait(0.05):
            number += 1
            source.relabel(f"b{number}")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        out, err = process.communicate(timeout=60)
    finally:
        stop.set()
        worker.join()
    lines = [json.loads(line) for line in out.splitlines()]
    first, second = (int(line["element"]["label"].removeprefix("b")) for line in lines)
    assert second == first + 1
    assert (process.returncode, err) == (0, "")


@pytest.mark.redis
@pytest.mark.slow
def test_log_stores_calls_of_the_stream(redis_server, source, tmp_path):
    database = tmp_path / "calls.db"
    process = start("log", str(database), "--redis", redis_server.url)

    def stored():
        if not database.exists():
            return 0
        with sqlite_connection(f"file:{database}?mode=ro", uri=True) as connection:
            try:
                return connection.execute("select count(*) from calls").fetchone()[0]
            except sqlite3.OperationalError:  # the tables are being created
                return 0

    def hang_up(number):
        source.ring(f"call{number}")
        source.hang_up(f"call{number}")

    numbers = iter(range(1000))

    def is_stored():
        hang_up(next(numbers))
        return stored() > 1

    wait_until(is_stored, "a call in the log", interval=0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "logging calls to" in err


@pytest.mark.redis
@pytest.mark.slow
def test_a_stream_without_a_publisher_is_reported(redis_server):
    done = run("state", "--redis", redis_server.url, "--redis-stream", "none", "--timeout", "1")
    assert done.returncode == 4
    assert "no publisher leads the stream 'none': start `basix-ws-cti publish`" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--redis", "redis://h", "--simulate"), "--redis and --simulate cannot be combined"),
        (
            ("--redis", "redis://localhost", "--recording", "x"),
            "--recording and --redis cannot be combined",
        ),
        (("--redis", "redis://example.com"), "would be sent unencrypted to example.com"),
        (("--redis", "localhost"), "redis must be a URL"),
        (("--redis", "redis://localhost", "--redis-stream", "{"), "must not contain braces"),
        (
            ("--redis", "redis://u:hunter2@localhost"),
            "a password on the command line is visible to other users: set BASIX_REDIS_PASSWORD",
        ),
    ],
)
@pytest.mark.parametrize("command", ["listen", "state"])
def test_options_that_cannot_work(command, arguments, text):
    done = run_in_process(command, *arguments)
    assert done.returncode == 2
    assert text in done.stderr
    assert "hunter2" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://host", "redis://:p%40%3A@host"),
        ("rediss://user@host:1/2", "rediss://user:p%40%3A@host:1/2"),
        ("no url", "no url"),
    ],
)
def test_the_password_comes_from_the_environment(url, expected, monkeypatch):
    monkeypatch.setenv(PASSWORD_VARIABLE, "p@:")
    assert redis_url(url) == expected
    monkeypatch.delenv(PASSWORD_VARIABLE)
    assert redis_url(url) == url
    with pytest.raises(UsageError, match="visible to other users"):
        redis_url("redis://:hunter2@host")
