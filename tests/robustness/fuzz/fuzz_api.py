"""Fuzzing target: raw HTTP requests to the API of the simulated PBX."""

from __future__ import annotations

import base64
import http.client
import io
import json

from offline import OfflineSimulator

from basix_ws_cti.simulator.http_api import RequestHandler

MAX_LEN = 1024
LOGIN = base64.b64encode(b"demo:simulated")

# The statuses that the API documents, and those of the HTTP server below it.
STATUSES = {200, 400, 401, 404, 409} | {414, 431, 501, 505}


def seeds():
    """Yield requests for tickets and calls, valid ones and incomplete ones."""
    ticket = {"uri": "/basix/api/ws_cti?app_name=fuzz"}
    call = {"user_id": 10001001, "destination": "media_plug"}
    for path, body in (
        ("gen_ws_ticket", ticket),
        ("gen_ws_ticket", {"uri": "/basix/api/ws_cti?app_name=a&full_events=true"}),
        ("call_user", call),
        ("call_user", {"user_id": 1, "destination": "1002"}),
        ("call_user", {"user_id": 10001001, "destination": "1002"}),
        ("call_user", {}),
        ("ws_cti", []),
    ):
        yield request(path, json.dumps(body).encode(), b"Basic " + LOGIN)
    yield request("gen_ws_ticket", b"{}", b"Basic x")
    yield request("gen_ws_ticket", b"{", b"Bearer " + LOGIN)
    yield b"GET / HTTP/1.0\r\n\r\n"
    yield b"POST /\r\n"


def request(path, body, authorization):
    return (
        b"POST /basix/api/%b HTTP/1.1\r\nHost: pbx\r\nAuthorization: %b\r\nExpect: 100-continue\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (path.encode(), authorization, len(body), body)
    )


class Socket:
    """Connection that has received all of its data."""

    def __init__(self, data):
        self._data = data
        self.sent = b""

    def makefile(self, *_):
        return io.BytesIO(self._data)

    def settimeout(self, _):
        """Do nothing: reading never waits."""

    def sendall(self, data):
        self.sent += data


def check(data):
    """Check that the answer is well-formed HTTP, and JSON if it comes from the API."""
    handler_class = type("Handler", (RequestHandler,), {"backend": OfflineSimulator(users=2)})
    connection = Socket(data)
    handler = handler_class(connection, ("127.0.0.1", 1), None)
    sent = connection.sent.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    if not sent.startswith(b"HTTP/"):
        # The request was empty, or one of HTTP/0.9, whose answer is only a body.
        assert not sent or sent.startswith((b"<!DOCTYPE", b"{"))
        return
    answer = http.client.HTTPResponse(Socket(sent), method=handler.command)
    answer.begin()
    body = answer.read()
    assert answer.status in STATUSES
    if answer.headers["Content-Type"] == "application/json":
        check_answer(answer.status, json.loads(body))


def check_answer(status, answer):
    """Check that the answer is a result or a reason, as documented."""
    if status == 200:
        assert answer.pop("result_code") == 0
        ((name, value),) = answer.items()
        assert name in {"ticket", "uuids"}
        assert isinstance(value, str if name == "ticket" else list)
    else:
        assert answer.keys() == {"result_code", "reason"}
        assert answer["result_code"] == 1
