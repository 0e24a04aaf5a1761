"""MetricsServer: routes, formats and clients that misbehave."""

from __future__ import annotations

import gzip
import http.client
import socket
from urllib.parse import urlsplit

import pytest
from support.observed_feed import ObservedFeed
from support.waiting import TIMEOUT

from basix_ws_cti import Connecting
from basix_ws_cti.bridges.exposition import Exposition
from basix_ws_cti.bridges.live_figures import LiveFigures
from basix_ws_cti.bridges.metrics_server import MetricsServer


@pytest.fixture
def feed():
    return ObservedFeed()


@pytest.fixture
def server(feed):
    with MetricsServer(Exposition(figures_of(feed)), "127.0.0.1", 0) as server:
        yield server


def figures_of(feed):
    return LiveFigures(feed, max_queues=1, now=lambda: 0)


def ask(server, path, method="GET", **headers):
    """Return status, headers and body of an answer."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=TIMEOUT)
    try:
        connection.request(
            method, path, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_format_and_compression_are_negotiated(server):
    status, headers, plain = ask(server, "/metrics")
    assert (status, headers["Content-Type"].split(";")[0]) == (200, "text/plain")
    assert b"basix_feed_synced 1.0" in plain
    _, headers, body = ask(server, "/metrics", Accept="application/openmetrics-text;version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")
    _, headers, body = ask(server, "/metrics?x=1", Accept_Encoding="gzip, br")
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == plain


def test_health_follows_the_state_of_the_feed(server, feed):
    assert ask(server, "/healthy")[::2] == (200, b"feed: synced\n")
    feed.state = Connecting(3)
    assert ask(server, "/healthy")[::2] == (503, b"feed: connecting\n")


def test_other_paths_and_methods_are_refused(server):
    assert ask(server, "/")[::2] == (404, b"the paths are /metrics and /healthy\n")
    status, headers, _ = ask(server, "/metrics", "POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    status, headers, body = ask(server, "/metrics", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 1000


class BlockedExposition(Exposition):
    """Exposition of a feed whose event loop does not answer."""

    def render(self, accept=""):
        raise TimeoutError


def test_event_loop_that_does_not_answer_makes_the_scrape_fail(feed):
    with MetricsServer(BlockedExposition(figures_of(feed)), "127.0.0.1", 0) as server:
        assert ask(server, "/metrics")[::2] == (503, b"the event loop does not answer\n")


def test_connections_beyond_the_limit_are_closed_and_silent_ones_cut_off(feed):
    limits = {"max_connections": 2, "client_timeout": 0.1}
    with MetricsServer(Exposition(figures_of(feed)), "127.0.0.1", 0, **limits) as server:
        host, port = urlsplit(server.url).netloc.split(":")
        silent = [socket.create_connection((host, int(port)), timeout=TIMEOUT) for _ in range(5)]
        for one in silent:
            assert one.recv(1) == b""
            one.close()
        assert ask(server, "/healthy")[0] == 200


def test_connection_without_a_thread_takes_no_room_from_later_ones(feed, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    with MetricsServer(Exposition(figures_of(feed)), "127.0.0.1", 0, max_connections=1) as server:
        with monkeypatch.context() as patch:
            patch.setattr("threading.Thread.start", refuse)
            with pytest.raises(OSError):
                ask(server, "/healthy")
        assert ask(server, "/healthy")[0] == 200


def test_address_in_use_is_an_error(server, feed):
    port = urlsplit(server.url).port
    with pytest.raises(OSError, match="in use"):
        MetricsServer(Exposition(figures_of(feed)), "127.0.0.1", port)


def test_address_of_ip_version_6_is_in_brackets(feed):
    with MetricsServer(Exposition(figures_of(feed)), "::1", 0) as server:
        assert server.url.startswith("http://[::1]:")
