"""Examples about calls, each run as a process against the simulator."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading

import pytest
from support.example_connections import connection_environment
from support.paths import EXAMPLES
from support.waiting import TIMEOUT, wait_until

from basix_ws_cti.simulator import Simulator


class Example:
    """Example process connected to a simulator, until Ctrl-C or a kill."""

    def __init__(self, name, *arguments, pbx):
        self.process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "error", str(EXAMPLES / name), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={
                **os.environ,
                "PYTHONIOENCODING": "utf-8",
                **connection_environment(pbx),
            },
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def finish(self):
        """Press Ctrl-C and return the output to stdout and stderr."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=TIMEOUT)
        assert self.process.returncode == 130, err
        # With -X dev asyncio reports each step over 0.1 s, which on a busy machine are many.
        return out, re.sub(r"^Executing <.* took [0-9.]+ seconds\n", "", err, flags=re.MULTILINE)


@pytest.fixture
def pbx():
    """Simulated PBX that starts no calls."""
    with Simulator(calls=False, speed=0.001) as pbx:
        yield pbx


# -- screen_pop.py --------------------------------------------------------------------


class Webhook:
    """Web server that keeps each post and answers with the statuses in ``statuses``."""

    def __init__(self):
        self.statuses = []
        self.posts = []
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = hook.statuses.pop(0) if hook.statuses else 200
                hook.posts.append((status, body))
                if status:
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                else:
                    self.close_connection = True  # without a response

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/pop"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def last(self, number):
        """Wait for post ``number``, and return it as status and body."""
        wait_until(lambda: len(self.posts) >= number, f"post {number}")
        assert len(self.posts) == number
        return self.posts[-1]


@pytest.fixture
def webhook():
    webhook = Webhook()
    yield webhook
    webhook.close()


@pytest.mark.slow
def test_screen_pop_is_posted_once_and_withdrawn(pbx, webhook):
    """A ringing call is posted once, and a failure is reported.

    It is withdrawn if somebody else answers or the caller abandons the call, and not if the user
    answers.
    """
    webhook.statuses = [200, 503, 0]  # 0 closes the connection; then it works
    group = next(iter(pbx.snapshot()["group"].values()))["main_extension"]
    with Example("screen_pop.py", "1001", webhook.url, pbx=pbx) as pop:
        wait_until(lambda: pbx.connections, "the client")
        line = pbx.call("0312341234", to=group)  # all telephones ring
        _, posted = webhook.last(1)
        assert posted == {
            "event": "ringing",
            "call": line,
            "number": "0312341234",
            "name": "山田 太郎",
            "user_id": None,
            "end_user": posted["end_user"],
            "whoscall": None,
        }
        assert posted["end_user"]["organization"] == "株式会社山田商店"
        pbx.answer(line, by="1002")
        reason = "picked_up_elsewhere"
        assert webhook.last(2)[1] == {"event": "withdrawn", "call": line, "reason": reason}
        first, line = line, pbx.call("05031234567", to="1001")
        second = line
        _, posted = webhook.last(3)
        assert posted["call"] == line
        assert posted["whoscall"] == {"name": "宅配サービス", "spam": False}
        pbx.hangup(line)
        assert webhook.last(4)[1] == {"event": "withdrawn", "call": line, "reason": "abandoned"}
        line = pbx.call("08033334444", to="1001")
        assert webhook.last(5)[1]["call"] == line
        pbx.answer(line)
        pbx.hangup(line)
        pbx.hangup(pbx.originate("1001", "0312341234"))  # our own, by a click
        line = pbx.call("1003", to="1001")  # a colleague
        assert webhook.last(6)[1]["user_id"] == 10001003
        _, err = pop.finish()
    assert err.splitlines() == [
        f"webhook failed: withdrawn {first}: HTTP 503",
        f"webhook failed: ringing {second}: RemoteProtocolError",
    ]


@pytest.mark.parametrize("whoscall", [None, "", "%7B", "%FF"])
def test_malformed_directory_entry_is_ignored(whoscall, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    import screen_pop

    assert screen_pop.directory_entry(whoscall) is None


# -- all of them ----------------------------------------------------------------------

REFUSED = "the server refused the login with HTTP 401"


@pytest.mark.parametrize(
    ("name", "arguments", "token", "problem"),
    [
        ("screen_pop.py", ["1001", "http://127.0.0.1:9/"], "canary", REFUSED),
    ],
)
@pytest.mark.slow
def test_startup_errors_are_one_line(name, arguments, token, problem, pbx):
    """A missing or wrong token or file ends an example with exit code 1."""
    environment = {"BASIX_SERVER": pbx.url, "BASIX_DOMAIN": "demo", "BASIX_TOKEN": token}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        check=False,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, **environment},
        timeout=TIMEOUT,
    )
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if not line.startswith("the client of")]
    assert len(errors) == 1
    assert errors[0].startswith(f"{name.removesuffix('.py')}: {problem}")
    assert "canary" not in done.stdout + done.stderr
