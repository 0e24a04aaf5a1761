"""Command ``metrics``: of a simulated PBX, a recording, and a stream in Redis."""

from __future__ import annotations

import contextlib
import signal
import socket
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.cli_runner import run, run_in_process, start
from support.example_connections import connection_environment
from support.redis_server import RedisServer
from support.stream_source import StreamSource
from support.waiting import TIMEOUT, wait_until

from basix_ws_cti.simulator import Simulator

LISTEN = ("--listen", "127.0.0.1:0")


class MetricsCommand:
    """Running command, and what it serves."""

    def __init__(self, process):
        self.process = process
        line = process.stderr.readline()
        assert line.startswith("basix-ws-cti: metrics at http://127.0.0.1:"), line
        self.url = line.split()[-1]

    def samples(self):
        """Return the samples: a number by name and label values."""
        with urllib.request.urlopen(self.url, timeout=TIMEOUT) as answer:
            text = answer.read().decode()
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def health(self):
        """Return status and text of the health check."""
        try:
            with urllib.request.urlopen(
                self.url.replace("metrics", "healthy"), timeout=TIMEOUT
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@contextlib.contextmanager
def running(*arguments, env=None):
    """Run the command for the duration of the block, then end it as a supervisor does."""
    with start("metrics", *LISTEN, *arguments, env=env) as process:
        try:
            yield MetricsCommand(process)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=TIMEOUT)
        except BaseException:
            process.kill()
            raise
    assert (process.returncode, out) == (130, ""), err
    assert "Traceback" not in err


@pytest.mark.slow
def test_figures_and_health_of_a_pbx():
    with Simulator(calls=False, speed=0.001) as pbx:
        ((group_id, group),) = pbx.snapshot()["group"].items()
        queue = (group["label"], str(group_id))
        with running("--full-events", env=connection_environment(pbx)) as metrics:
            wait_until(lambda: metrics.health() == (200, "feed: synced\n"), "the snapshot")
            answered = pbx.call("0312341234", to=group["main_extension"])
            pbx.advance(12)
            pbx.answer(answered)
            abandoned = pbx.call("09011112222", to=group["main_extension"])
            pbx.advance(30)
            pbx.hangup(abandoned)
            pbx.call("0667890123", to=group["main_extension"])
            pbx.advance(3)
            pbx.hangup(answered)
            ended = ("basix_calls_ended_total", "inbound", "answered")
            wait_until(lambda: metrics.samples()[ended] == 1, "the end", interval=0.5)
            found = metrics.samples()
    assert found["basix_queue_waiting_calls", *queue] == 1
    assert found["basix_queue_longest_wait_seconds", *queue] >= 3
    assert found["basix_queue_calls_entered_total", *queue] == 3
    assert found["basix_queue_waits_ended_total", *queue, "answered"] == 1
    assert found["basix_queue_waits_ended_total", *queue, "abandoned"] == 1
    wait = ("basix_queue_wait_seconds_sum", *queue)
    assert found[*wait, "answered"] == pytest.approx(12, abs=1)
    assert found[*wait, "abandoned"] == pytest.approx(30, abs=1)
    assert found["basix_queue_handle_seconds_sum", *queue] == pytest.approx(33, abs=1)
    assert found["basix_feed_synced",] == 1
    assert found["process_resident_memory_bytes",] > 10_000_000


@pytest.mark.slow
def test_figures_of_a_recording_stay_after_its_end(tmp_path):
    recording = tmp_path / "calls.rec"
    run("record", recording, "--simulate", "--simulate-speed", "100", "--seconds", "2")
    with running("--recording", recording, "--recording-speed", "0") as metrics:
        assert "recording has ended" in metrics.process.stderr.readline()
        found = metrics.samples()
    assert sum(value for key, value in found.items() if key[0] == "basix_calls_ended_total") > 1
    assert not any(key[0] == "basix_feed_frames_total" for key in found)


@pytest.mark.redis
@pytest.mark.slow
def test_figures_of_a_stream(tmp_path):
    server = RedisServer(tmp_path)
    server.start()
    try:
        source = StreamSource(server.client)
        source.ring("u1")
        source.begin()
        with running("--redis", server.url) as metrics:
            wait_until(lambda: metrics.health()[0] == 200, "the snapshot")
            found = metrics.samples()
            assert found["basix_feed_frames_total",] > 0
            assert sum(value for key, value in found.items() if key[0] == "basix_users") == 3
    finally:
        server.close()


@pytest.mark.slow
def test_address_in_use_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        done = run_in_process("metrics", "--simulate", "--listen", address)
    assert done.returncode == 1
    assert f"{address} is already in use: choose another address with --listen" in done.stderr
