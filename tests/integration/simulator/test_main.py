from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest
from support.free_ports import free_port
from support.waiting import TIMEOUT, wait_until
from websockets.sync.client import connect as sync_connect

from basix_ws_cti import feed_url
from basix_ws_cti.simulator import __main__ as command


def test_the_command():
    """It says where it is, writes a line for each connection, and Ctrl-C ends it in peace."""
    process = subprocess.Popen(
        [sys.executable, "-m", "basix_ws_cti.simulator", "--port", "0", "--token", "t", "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        feed, api, who = (process.stdout.readline() for _ in range(3))
        server = re.match(r"feed: +(ws://127\.0\.0\.1:\d+)/basix/api/ws_cti\?app_name=", feed)[1]
        assert re.match(r"API: +http://127\.0\.0\.1:\d+/basix/api/gen_ws_ticket\n", api)
        assert who == "domain: demo, token: t\n"
        url = feed_url(server, domain="demo", token="t", app_name="me")
        with sync_connect(url, proxy=None) as websocket:
            assert isinstance(websocket.recv(TIMEOUT), bytes)
            assert "connected: app_name 'me'" in process.stdout.readline()
        assert "client disconnected: app_name 'me'" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert errors == ""
    assert "Traceback" not in rest


def test_a_narrow_encoding():
    """What the output's encoding lacks is a question mark, and no end of it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "basix_ws_cti.simulator", "--port", "0", "--quiet"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        text=True,
    )
    try:
        lines = [process.stdout.readline() for _ in range(3)]
    finally:
        process.kill()
        process.communicate()
    assert lines[0].endswith("app_name=?\n")
    assert lines[2] == "domain: demo, token: simulated\n"


@pytest.fixture
def level():
    logger = logging.getLogger("basix_ws_cti.simulator")
    before = logger.level
    yield
    logger.setLevel(before)


def test_options_and_ctrl_c(monkeypatch, capsys, level):
    """Its options are the simulator's, and an interrupt ends main() without an error."""
    port = free_port()
    options = f"--port {port} --tls --older --otp 26 --compressed --users 3 --domain d --speed 2"
    monkeypatch.setattr(sys, "argv", ["simulator", *options.split()])
    made = []

    class Spied(command.Simulator):
        def __init__(self, **parameters):
            super().__init__(**parameters)
            made.append((self, parameters))

    monkeypatch.setattr(command, "Simulator", Spied)

    def interrupt():
        wait_until(lambda: made and made[0][0]._api is not None)
        os.kill(os.getpid(), signal.SIGINT)
        # Python sees a signal once it runs again, and the loop may be about to wait.
        made[0][0].loop.call_soon_threadsafe(int)

    thread = threading.Thread(target=interrupt)
    thread.start()
    command.main()
    thread.join()
    parameters = made[0][1]
    assert parameters["port"] == port
    assert parameters["tls"] is parameters["older"] is parameters["compressed"] is True
    assert (parameters["otp"], parameters["users"], parameters["speed"]) == (26, 3, 2)
    assert parameters["calls"] is True


def test_a_taken_port(monkeypatch, capsys, level):
    """A port that is taken is one line, and exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        options = ["--port", str(sock.getsockname()[1])]
        process = subprocess.run(
            [sys.executable, "-m", "basix_ws_cti.simulator", *options],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        monkeypatch.setattr(sys, "argv", ["simulator", *options])
        with pytest.raises(SystemExit) as caught:
            command.main()
    assert process.returncode == caught.value.code == 1
    for errors in (process.stderr, capsys.readouterr().err):
        assert errors.count("\n") == 1
        assert "address already in use" in errors
    assert process.stdout == ""


@pytest.mark.parametrize("options", [["--rate", "0"], ["--users", "0"]])
def test_options_that_mean_nothing(monkeypatch, capsys, level, options):
    """An option out of its range is one line, and exit code 1."""
    monkeypatch.setattr(sys, "argv", ["simulator", "--port", "0", *options])
    with pytest.raises(SystemExit) as caught:
        command.main()
    assert caught.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1
