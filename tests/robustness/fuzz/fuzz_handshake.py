"""Fuzzing target: raw handshake requests to the simulated PBX."""

from __future__ import annotations

import base64

from offline import OfflineSimulator, run
from websockets.http11 import Request
from websockets.server import ServerProtocol

from basix_ws_cti.simulator.access_control import FeedRequest

MAX_LEN = 1024
LOGIN = base64.b64encode(b"demo:simulated").decode()
STATUSES = {400, 401, 404}

PBX = OfflineSimulator(users=2)  # a handshake only changes its tickets


def seeds():
    """Yield requests for the feed, valid ones and incomplete ones."""
    for query in (
        "app_name=a",
        "app_name=a&full_events=true&force=true",
        "app_name=%E6%9D%B1+&user_id=10001001",
        "app_name=a&user_name=user1&forced=true",
        "app_name=a&user_extension=9&user_did=0500001001&user_label=x&user_email=@",
        "",
    ):
        yield request(f"/basix/api/ws_cti?{query}", f"Basic {LOGIN}")
    yield request("/elsewhere", f"basic {LOGIN}")
    yield request("//[::1", f"Basic {LOGIN}")
    yield request("/basix/api/ws_cti?app_name=a", "Basic d3NfdGlja2V0OnRpY2tldA==")
    yield request("/basix/api/ws_cti?app_name=a", "Bearer x")


def request(target, authorization):
    return (
        f"GET {target} HTTP/1.1\r\nHost: pbx\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: {authorization}\r\n\r\n"
    ).encode()


class Client:
    """Server side of a connection, with what a handshake needs."""

    feed_request = username = None

    def __init__(self, protocol):
        self.respond = protocol.reject


def check(data):
    """Check that a request is refused with a known status, or has the right token."""
    protocol = ServerProtocol()
    protocol.receive_data(data)
    for event in protocol.events_received():
        if isinstance(event, Request):
            client = Client(protocol)
            response = run(PBX.client_handler.process_request(client, event))
            if response is None:
                assert isinstance(client.feed_request, FeedRequest)
                assert client.feed_request.app_name
                assert has_the_token(event.headers["Authorization"])
            else:
                assert response.status_code in STATUSES
                assert client.feed_request is None


def has_the_token(authorization):
    return base64.b64decode(authorization.split(" ", 1)[1]) == b"demo:simulated"
