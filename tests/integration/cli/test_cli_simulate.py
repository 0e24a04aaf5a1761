"""Command ``simulate``."""

from __future__ import annotations

import re
import signal
import socket
import ssl

import pytest
from support.cli_runner import run_in_process, start
from support.waiting import TIMEOUT
from websockets.sync.client import connect as sync_connect

from basix_ws_cti import MessageParser, feed_url


def read_addresses(process):
    """Return the server address that a simulator prints, and the next two lines."""
    feed, api, credentials = (process.stdout.readline() for _ in range(3))
    found = re.match(r"feed: +(wss?://127\.0\.0\.1:\d+)/basix/api/ws_cti\?app_name=", feed)
    assert found, (feed, process.stderr.read())
    return found[1], api, credentials


def finish(process):
    """Wait for the process and return the rest of its output."""
    try:
        return process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_simulator_serves_until_interrupted(signum):
    """It prints its addresses and one line per client; the exit code is 130."""
    process = start("simulate", "--port", 0, "--quiet")
    server, api, credentials = read_addresses(process)
    assert re.match(r"API: +http://127\.0\.0\.1:\d+/basix/api/gen_ws_ticket\n", api)
    assert credentials == "domain: demo, token: simulated\n"
    url = feed_url(server, domain="demo", token="simulated", app_name="me")
    with sync_connect(url, proxy=None) as websocket:
        assert isinstance(websocket.recv(TIMEOUT), bytes)
        assert "connected: app_name 'me'" in process.stdout.readline()
    assert "client disconnected: app_name 'me'" in process.stdout.readline()
    process.send_signal(signum)
    out, err = finish(process)
    assert (process.returncode, out, err) == (130, "", "")


@pytest.mark.slow
def test_token_from_the_environment_is_not_printed():
    """``BASIX_TOKEN`` and ``BASIX_DOMAIN`` are used, and the token is never printed."""
    process = start(
        "simulate", "--port", 0, env={"BASIX_TOKEN": "very-much-mine", "BASIX_DOMAIN": "acme"}
    )
    server, _, credentials = read_addresses(process)
    assert credentials == "domain: acme, token: as in BASIX_TOKEN\n"
    url = feed_url(server, domain="acme", token="very-much-mine", app_name="me")
    with sync_connect(url, proxy=None) as websocket:
        websocket.recv(TIMEOUT)
    process.send_signal(signal.SIGTERM)
    out, err = finish(process)
    assert "very-much-mine" not in out + err


@pytest.mark.slow
def test_options_reach_the_simulator():
    process = start(
        *("simulate", "--port", 0, "--users", 3, "--older", "--otp", 26, "--quiet", "--seed", 4),
        *("--speed", 2, "--rate", 20, "--tls"),
    )
    server, _, _ = read_addresses(process)
    assert server.startswith("wss://")
    url = feed_url(server, domain="demo", token="simulated", app_name="me")
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    with sync_connect(url, proxy=None, ssl=unverified) as websocket:
        frames = [websocket.recv(TIMEOUT)]
        while b"initial_info" not in frames[-1] or b"terminal" not in frames[-1]:
            frames.append(websocket.recv(TIMEOUT))
    process.send_signal(signal.SIGINT)
    finish(process)
    assert frames[0][:4] == b"\x83h\x03w"  # UTF-8 atoms: OTP 26
    assert any(b"parked_channel" in frame for frame in frames)
    parser = MessageParser()
    read = {getattr(one, "element_name", ""): one for one in map(parser.parse, frames)}
    assert len(read["user"].elements) == 3


@pytest.mark.slow
def test_closed_stdout_ends_quietly():
    """The next line ends the command with exit code 0."""
    process = start("simulate", "--port", 0)
    server, _, _ = read_addresses(process)
    process.stdout.close()
    url = feed_url(server, domain="demo", token="simulated", app_name="me")
    with sync_connect(url, proxy=None) as websocket:
        websocket.recv(TIMEOUT)
    err = process.stderr.read()
    assert (process.wait(TIMEOUT), err) == (0, "")
    process.stderr.close()
    process.stdin.close()


@pytest.mark.parametrize(
    ("options", "word"),
    [(["--rate", "0"], "rate"), (["--users", "0"], "user"), (["--otp", "7"], "--otp")],
)
def test_out_of_range_options_are_usage_errors(options, word):
    done = run_in_process("simulate", "--port", 0, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert word in done.stderr


def test_port_in_use_is_an_error_that_names_the_option():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_in_process("simulate", "--port", port)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"port {port} is already in use" in done.stderr
    assert "--port" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "in use" in done.stderr
