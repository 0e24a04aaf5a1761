"""The command python -m basix_ws_cti.simulator."""

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
from support.first_process import terminate_first_process
from support.free_ports import free_port
from support.waiting import TIMEOUT, wait_until
from websockets.sync.client import connect as sync_connect

from basix_ws_cti import UsageError, feed_url
from basix_ws_cti.simulator import __main__ as main_module


def test_command_prints_addresses_and_connections():
    """Ctrl-C ends it without a traceback."""
    process = subprocess.Popen(
        [sys.executable, "-m", "basix_ws_cti.simulator", "--port", "0", "--token", "t", "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        feed, api, credentials = (process.stdout.readline() for _ in range(3))
        server = re.match(r"feed: +(ws://127\.0\.0\.1:\d+)/basix/api/ws_cti\?app_name=", feed)[1]
        assert re.match(r"API: +http://127\.0\.0\.1:\d+/basix/api/gen_ws_ticket\n", api)
        assert credentials == "domain: demo, token: t\n"
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


@pytest.mark.slow
def test_characters_missing_in_the_output_encoding_become_question_marks():
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
def restored_log_level():
    """Restore the level of the simulator's logger after the test."""
    logger = logging.getLogger("basix_ws_cti.simulator")
    before = logger.level
    yield
    logger.setLevel(before)


def test_options_are_passed_to_the_simulator(monkeypatch, capsys, restored_log_level):
    """An interrupt ends main() without an error."""
    port = free_port()
    options = f"--port {port} --tls --older --otp 26 --compressed --users 3 --domain d --speed 2"
    monkeypatch.setattr(sys, "argv", ["simulator", *options.split()])
    created = []

    class RecordedSimulator(main_module.Simulator):
        def __init__(self, **parameters):
            super().__init__(**parameters)
            created.append((self, parameters))

    monkeypatch.setattr(main_module, "Simulator", RecordedSimulator)

    def runs():
        try:
            return bool(created and created[0][0].api_url)
        except UsageError:  # it is not running yet
            return False

    def interrupt():
        wait_until(runs)
        # To the main thread: another thread could receive it after the loop was woken in vain.
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        # Python handles a signal when it runs again, and the loop may be about to wait.
        created[0][0].loop.call_soon_threadsafe(int)

    thread = threading.Thread(target=interrupt)
    thread.start()
    main_module.main()
    thread.join()
    parameters = created[0][1]
    assert parameters["port"] == port
    assert parameters["tls"] is parameters["older"] is parameters["compressed"] is True
    assert (parameters["otp"], parameters["users"], parameters["speed"]) == (26, 3, 2)
    assert parameters["calls"] is True


def test_taken_port_is_one_line_and_exit_code_1(monkeypatch, capsys, restored_log_level):
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
            main_module.main()
    assert process.returncode == caught.value.code == 1
    for errors in (process.stderr, capsys.readouterr().err):
        assert errors.count("\n") == 1
        assert "address already in use" in errors
    assert process.stdout == ""


@pytest.mark.parametrize("options", [["--rate", "0"], ["--users", "0"]])
def test_option_out_of_range_is_one_line_and_exit_code_1(
    monkeypatch, capsys, restored_log_level, options
):
    monkeypatch.setattr(sys, "argv", ["simulator", "--port", "0", *options])
    with pytest.raises(SystemExit) as caught:
        main_module.main()
    assert caught.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_sigterm_ends_the_first_process_of_a_container():
    arguments = ["-m", "basix_ws_cti.simulator", "--port", "0"]
    assert terminate_first_process(arguments, "feed:") == (0, "")
