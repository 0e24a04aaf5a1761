"""Fuzzing the simulated PBX's HTTP API with the raw bytes of a request: one answer, no error."""

from __future__ import annotations

import base64
import http.client
import io
import json

from offline import simulator

from basix_ws_cti.simulator.http_api import RequestHandler

MAX_LEN = 1024
LOGIN = base64.b64encode(b"demo:simulated")

# What the API documents, and what the HTTP server beneath it refuses on its own account.
STATUSES = {200, 400, 401, 404, 409} | {414, 431, 501, 505}


def seeds():
    """Requests for tickets and calls: good ones, and such as lack something."""
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
    """A connection on which all that will come has come."""

    def __init__(self, data):
        self._data = data
        self.sent = b""

    def makefile(self, *_):
        return io.BytesIO(self._data)

    def settimeout(self, _):
        """Nothing is waited for."""

    def sendall(self, data):
        self.sent += data


def check(data):
    """Whatever is asked, the answer is well-formed HTTP, and that of the API itself is JSON."""
    handler_class = type("Handler", (RequestHandler,), {"backend": simulator(users=2)})
    connection = Socket(data)
    handler = handler_class(connection, ("127.0.0.1", 1), None)
    sent = connection.sent.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    if not sent.startswith(b"HTTP/"):
        # Nothing was asked, or in the way of HTTP/0.9, whose answer is a body alone.
        assert not sent or sent.startswith((b"<!DOCTYPE", b"{"))
        return
    answer = http.client.HTTPResponse(Socket(sent), method=handler.command)
    answer.begin()
    body = answer.read()
    assert answer.status in STATUSES
    if answer.headers["Content-Type"] == "application/json":
        check_answer(answer.status, json.loads(body))


def check_answer(status, answer):
    """The answer is as documented: a result, or the reason why there is none."""
    if status == 200:
        assert answer.pop("result_code") == 0
        ((name, value),) = answer.items()
        assert name in {"ticket", "uuids"}
        assert isinstance(value, str if name == "ticket" else list)
    else:
        assert answer.keys() == {"result_code", "reason"}
        assert answer["result_code"] == 1
