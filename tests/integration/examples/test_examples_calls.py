"""Examples about calls, each run as a process against the simulator."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request

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
    """A ringing call is posted once, with retries.

    It is withdrawn if somebody else answers or the caller abandons the call, and not if the user
    answers.
    """
    webhook.statuses = [503, 0]  # then it works
    group = next(iter(pbx.snapshot()["group"].values()))["main_extension"]
    with Example("screen_pop.py", "1001", webhook.url, pbx=pbx) as pop:
        wait_until(lambda: pbx.connections, "the client")
        line = pbx.call("0312341234", to=group)  # all telephones ring
        _, posted = webhook.last(3)
        assert [status for status, _ in webhook.posts] == [503, 0, 200]
        assert all(body == posted for _, body in webhook.posts)
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
        assert webhook.last(4)[1] == {"event": "withdrawn", "call": line, "reason": reason}
        line = pbx.call("05031234567", to="1001")
        _, posted = webhook.last(5)
        assert posted["call"] == line
        assert posted["whoscall"] == {"name": "宅配サービス", "spam": False}
        pbx.hangup(line)
        assert webhook.last(6)[1] == {"event": "withdrawn", "call": line, "reason": "abandoned"}
        line = pbx.call("08033334444", to="1001")
        assert webhook.last(7)[1]["call"] == line
        pbx.answer(line)
        pbx.hangup(line)
        pbx.hangup(pbx.originate("1001", "0312341234"))  # our own, by a click
        line = pbx.call("1003", to="1001")  # a colleague
        assert webhook.last(8)[1]["user_id"] == 10001003
        _, err = pop.finish()
    assert err == ""


@pytest.mark.slow
async def test_webhook_retries_are_bounded(webhook, monkeypatch, capsys):
    """A server error is tried five times, a refusal once; both are reported."""
    monkeypatch.syspath_prepend(EXAMPLES)
    import httpx2
    import screen_pop

    monkeypatch.setattr(screen_pop, "RETRY_PAUSES", (0, 0, 0, 0))
    webhook.statuses = [500] * 5 + [404]
    async with httpx2.AsyncClient() as client:
        await screen_pop.post(client, webhook.url, event="ringing", call="a")
        assert len(webhook.posts) == 5
        await screen_pop.post(client, webhook.url, event="ringing", call="b")
        assert len(webhook.posts) == 6
        await asyncio.to_thread(webhook.server.shutdown)
    assert (
        capsys.readouterr().err
        == "webhook failed: ringing a: HTTP 500\nwebhook failed: ringing b: HTTP 404\n"
    )


@pytest.mark.parametrize("whoscall", [None, "", "%7B", "%FF"])
def test_malformed_directory_entry_is_ignored(whoscall, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    import screen_pop

    assert screen_pop.directory_entry(whoscall) is None


# -- metrics.py -----------------------------------------------------------------------


@pytest.mark.slow
def test_metrics_of_queues_and_feed(pbx):
    """Metrics count waiting, answered and abandoned calls per group, and the state of the feed.

    Durations follow the clock of the PBX; groups and users have their labels.
    """
    group = next(iter(pbx.snapshot()["group"].values()))

    def figures():
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            text = answer.read().decode()
        pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    with Example("metrics.py", "--port", "0", pbx=pbx) as metrics:
        url = metrics.process.stdout.readline().strip()
        wait_until(lambda: figures()["basix_feed_synced"] == 1, "the snapshot")
        answered = pbx.call("0312341234", to=group["main_extension"])
        pbx.advance(12)
        pbx.answer(answered)
        abandoned = pbx.call("09011112222", to=group["main_extension"])
        pbx.advance(30)
        pbx.hangup(abandoned)
        pbx.call("0667890123", to=group["main_extension"])
        pbx.advance(3)
        pbx.hangup(answered)
        labels = f'{{id="{group["id"]}",label="{group["label"]}"}}'
        # The answered call's leg is the last that ends.
        wait_until(lambda: sum(v for k, v in figures().items() if "user_answered" in k), "the end")
        now = figures()
        out, err = metrics.finish()
    assert {
        name: now[f"basix_group_{name}{labels}"]
        for name in ("waiting", "offered", "answered", "abandoned", "service_level_of_offered")
    } == {
        "waiting": 1,
        "offered": 3,
        "answered": 1,
        "abandoned": 1,
        "service_level_of_offered": 0.5,
    }
    assert now[f"basix_group_average_answer_seconds{labels}"] == pytest.approx(12, abs=1)
    assert now[f"basix_group_longest_wait_seconds{labels}"] >= 3
    talked = [value for name, value in now.items() if name.startswith("basix_user_talked_seconds")]
    assert max(talked) == pytest.approx(33, abs=1)
    assert now['basix_feed_messages_total{type="InitialInfo"}'] == len(pbx.snapshot())
    assert now["basix_feed_reconnects_total"] == 0
    assert now["basix_feed_frames_total"] > 14
    assert (out, err) == ("", "")


# -- all of them ----------------------------------------------------------------------

REFUSED = "the server refused the login with HTTP 401"


@pytest.mark.parametrize(
    ("name", "arguments", "token", "problem"),
    [
        ("screen_pop.py", ["1001", "http://127.0.0.1:9/"], "canary", REFUSED),
        ("metrics.py", ["--port", "0"], "canary", REFUSED),
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
