"""The command ``web`` and ``web-access`` as processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
import time

import httpx2
import pytest
import trustme
from support.cli_runner import assert_clean_stderr, run_in_process, start
from support.example_connections import connection_environment
from support.redis_server import RedisServer
from support.waiting import TIMEOUT, wait_until

from basix_ws_cti.cli.commanded_source import open_commanded_source
from basix_ws_cti.cli.options import SourceOptions
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.simulator import Simulator
from basix_ws_cti.web.access_file import AccessFile

pytestmark = pytest.mark.slow


def wait_for_address(process):
    """Return the address that a server prints."""
    line = process.stderr.readline()
    return re.search(r"wallboard: (http://\S+)", line)[1]


@pytest.mark.timing
def test_the_first_page_is_there_within_a_second_of_the_address():
    with start("web", "--simulate", "--listen", "127.0.0.1:0") as process:
        try:
            url = wait_for_address(process)
            started = time.monotonic()
            with httpx2.Client(base_url=url) as http:
                page = http.get("./")
                names = re.findall(r'(?:src|href)="(static/[^"]+)"', page.text)
                answers = [page, http.get("texts"), *(http.get(name) for name in names)]
                assert all(answer.status_code == 200 for answer in answers)
                sizes = [int(answer.headers["content-length"]) for answer in answers]
                assert time.monotonic() - started < 3
                assert sum(sizes) < 150_000
                state = http.get("state").json()
                assert state["feed"]["state"] in {"live", "connecting"}
        finally:
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate()
    assert process.returncode == 130
    assert (out, err) == ("", "")


@pytest.mark.timing
def test_sigterm_ends_the_command_with_open_streams():
    with start("web", "--simulate", "--listen", "127.0.0.1:0") as process:
        try:
            url = wait_for_address(process)
            with httpx2.Client(base_url=url, timeout=30) as http:
                streams = [http.stream("GET", "stream") for _ in range(20)]
                answers = [stream.__enter__() for stream in streams]
                assert all(answer.status_code == 200 for answer in answers)
                started = time.monotonic()
                process.send_signal(signal.SIGTERM)
                process.wait(30)
                assert time.monotonic() - started < 3 * 2
                for answer in answers:
                    answer.close()
        finally:
            process.kill()


def test_polling_shows_the_same_documents_and_goes_on(tmp_path):
    """For proxies that hold back streams."""
    log = tmp_path / "calls.db"
    options = ("--simulate-speed", "20", "--listen", "127.0.0.1:0", "--log", log)
    with start("web", "--simulate", *options) as process:
        try:
            with httpx2.Client(base_url=wait_for_address(process)) as http:
                seen = set()

                def has_moved_on():
                    document = http.get("state").json()
                    seen.add(document["seq"])
                    return len(seen) > 3 and document["calls"]

                wait_until(has_moved_on, "other documents", interval=0.2)
                assert http.get("report").status_code == 200
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()
    assert log.exists()


def call_from_a_page(http):
    """Let the first agent that a page shows call a number; return the status of the answer."""
    document = http.get("state").json()
    assert document["starts_calls"]
    user = next(iter(document["agents"]))
    headers = {"Sec-Fetch-Site": "same-origin"}
    content = {"user": user, "destination": "0398769876"}
    return http.post("commands/call", json=content, headers=headers).status_code


@contextlib.contextmanager
def browsing(*options, env=None):
    """Run the command with permission for commands; yield a browser once the feed is live."""
    arguments = ("--allow-commands", "--listen", "127.0.0.1:0", *options)
    with start("web", *arguments, env=env) as process:
        try:
            with httpx2.Client(base_url=wait_for_address(process), timeout=TIMEOUT) as http:
                wait_until(lambda: http.get("state").json()["feed"]["live"], "the feed")
                yield http
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()


@pytest.fixture
def quiet_pbx():
    with Simulator(calls=False) as pbx:
        yield pbx


def test_pages_start_calls_through_the_api_of_the_pbx(quiet_pbx):
    with browsing("--full-events", env=connection_environment(quiet_pbx)) as http:
        assert call_from_a_page(http) == 200
    assert quiet_pbx.snapshot()["channel"]


def test_pages_start_calls_of_the_simulated_pbx():
    with browsing("--simulate") as http:
        assert call_from_a_page(http) == 200


async def test_without_the_extra_http_pages_start_no_calls(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "httpx2", None)
    async with open_commanded_source(SourceOptions(simulate=True)) as commanded:
        assert commanded.caller is None
    assert "pages cannot start calls: pip install 'basix_ws_cti[http]'" in capsys.readouterr().err


@pytest.mark.redis
def test_pages_start_calls_through_a_publisher(quiet_pbx, tmp_path):
    server = RedisServer(tmp_path)
    server.start()
    try:
        env = connection_environment(quiet_pbx)
        arguments = ("publish", server.url, "--full-events", "--allow-commands")
        with start(*arguments, env=env) as publisher:
            try:
                wait_until(lambda: server.client.exists("{basix}:commands"), "the leader")
                with browsing("--redis", server.url) as http:
                    assert call_from_a_page(http) == 200
            finally:
                publisher.send_signal(signal.SIGTERM)
                publisher.communicate()
        assert quiet_pbx.snapshot()["channel"]
    finally:
        server.close()


def test_calls_count_while_the_calls_of_today_are_read_from_the_log(tmp_path, monkeypatch):
    with Simulator(calls=False) as pbx:

        def lose_a_call():
            line = pbx.call("0312341234", to="1900")
            pbx.advance(5)
            pbx.hangup(line)

        async def read_slowly(_database, stats, _now):
            async with asyncio.timeout(TIMEOUT):
                while not stats.groups:
                    await asyncio.to_thread(lose_a_call)
            raise UsageError("a call was counted")

        monkeypatch.setattr("basix_ws_cti.web.day_log.restore_day", read_slowly)
        options = ("--full-events", "--listen", "127.0.0.1:0", "--log", tmp_path / "calls.db")
        result = run_in_process("web", *options, env=connection_environment(pbx))
    assert "a call was counted" in result.stderr


def test_log_that_cannot_be_opened_is_reported_before_a_connection_is_made(tmp_path):
    log = tmp_path / "calls.db"
    log.write_text("no database " * 1000, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as pbx:
        server = f"ws://127.0.0.1:{pbx.getsockname()[1]}"
        result = run_in_process(
            *("web", "--server", server, "--domain", "acme", "--full-events", "--log", log),
            env={"BASIX_TOKEN": "secret"},
        )
        assert "calls.db: " in result.stderr
        pbx.setblocking(False)
        with pytest.raises(BlockingIOError):
            pbx.accept()


def test_accounts_and_links_are_made_listed_and_removed(tmp_path):
    file = tmp_path / "wallboard.access"
    run_in_process("web-access", "password", file, "anna", stdin="correct horse\n")
    link = run_in_process(
        "web-access", "link", file, "lobby", "--queue", "1900", "--user", "7"
    ).stdout
    token = re.fullmatch(r"display/([\w-]{43})\?mode=tv\n", link)[1]
    assert os.name != "posix" or file.stat().st_mode & 0o077 == 0
    text = file.read_text(encoding="utf-8")
    assert token not in text
    assert "correct horse" not in text
    listed = "account anna\nlink lobby queue=1900 user=7\n"
    assert run_in_process("web-access", "list", file).stdout == listed
    run_in_process("web-access", "remove", file, "anna")
    assert run_in_process("web-access", "list", file).stdout == listed.partition("\n")[2]


def test_line_ending_is_no_part_of_a_password_on_stdin(tmp_path):
    file = tmp_path / "wallboard.access"
    process = start("web-access", "password", file, "anna", encoding=None)
    _, err = process.communicate(b"correct horse\r\n", TIMEOUT)
    assert (process.returncode, err) == (0, b"")
    assert AccessFile.read(file).accounts["anna"].password.matches("correct horse")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--listen", "0.0.0.0:0"), "--password-file is needed"),
        (("--listen", "[::]:0"), "--password-file is needed"),
        (("--listen", "8080"), "--listen: expected HOST:PORT, such as 127.0.0.1:8080"),
        (("--listen", "localhost:99999"), "--listen: expected HOST:PORT"),
        (("--behind-proxy", "proxy.example.com"), "--behind-proxy: expected a network"),
        (("--tls-key", "key.pem"), "--tls-certificate and --tls-key need each other"),
        (
            ("--tls-certificate", "missing.pem", "--tls-key", "key.pem"),
            "cannot read missing.pem: no such file",
        ),
        (("--password-file", "missing"), "cannot read missing: no such file"),
        (("--limits", "missing"), "cannot read missing: no such file"),
        (("--log", "x.db", "--recording", "y.rec"), "--log and --recording cannot be combined"),
        (("--log", "postgresql://u:p@h/n"), "a password on the command line is visible"),
        (("--allow-commands", "--recording", "y.rec"), "y.rec"),
    ],
)
def test_options_that_cannot_work_are_named(arguments, message):
    simulate = () if "--recording" in arguments else ("--simulate",)
    result = run_in_process("web", *simulate, *arguments)
    assert result.returncode != 0
    assert message in assert_clean_stderr(result).stderr


@pytest.mark.parametrize(
    ("certificate", "key", "reason"),
    [
        ("cert.pem", "other.pem", "key values mismatch"),
        ("cert.pem", "cert.pem", "expected PEM files with a certificate and its private key"),
        ("key.pem", "key.pem", "expected PEM files with a certificate and its private key"),
        ("cert.pem", ".", "it is a folder: name a file"),
    ],
)
def test_tls_files_that_cannot_work_are_named_instead_of_an_address(
    certificate, key, reason, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path("cert.pem")
    issued.private_key_pem.write_to_path("key.pem")
    authority.issue_cert("localhost").private_key_pem.write_to_path("other.pem")
    files = ("--tls-certificate", certificate, "--tls-key", key)
    result = run_in_process("web", "--simulate", "--listen", "127.0.0.1:0", *files)
    assert result.returncode == 2
    text = f"cannot load --tls-certificate {certificate} with --tls-key {key}: {reason}"
    assert text in assert_clean_stderr(result).stderr
    assert "wallboard: " not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("password", "file", "anna"), "a password must have 10 to 200 characters"),
        (("password", "file", "an na"), "a name has 1 to 64 letters"),
        (("link", "file", "lobby", "--queue", "1 2"), "an id of a queue or user"),
        (("list", "file"), "cannot read file: no such file"),
    ],
)
def test_entries_that_cannot_work_are_named(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run_in_process("web-access", *arguments, stdin="short\n")
    assert result.returncode != 0
    assert message in result.stderr
    assert not (tmp_path / "file").exists()
