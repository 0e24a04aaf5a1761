"""Fuzzing target: raw HTTP requests to the API of the simulated PBX."""

from __future__ import annotations

import asyncio
import base64
import http.client
import io
import json

from offline import OfflineSimulator, run

from basix_ws_cti.simulator.http_api import serve_request

MAX_LEN = 1024
LOGIN = base64.b64encode(b"demo:simulated")

STATUSES = {200, 400, 404, 431}
ERRORS = {
    *("authentication_required", "bad_request", "group_not_found", "invalid_parameter"),
    *("not_available", "not_possible", "user_not_found"),
}


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
        ("call_user", {"user_did": "0500001001", "destination": {"called_number": "1"}}),
        ("call_user", {**call, "auto_answer": True, "calling_name": "x", "group_resolver": "*"}),
        ("call_group", {"group_name": "group1", "destination": "1002", "answer_timeout": 9}),
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


class Writer:
    """Writer that keeps what is written."""

    def __init__(self):
        self.sent = b""
        self.write = lambda data: setattr(self, "sent", self.sent + data)

    async def drain(self):
        """Do nothing: writing never waits."""


class Socket:
    """Connection that has received a response."""

    def __init__(self, data):
        self._data = data

    def makefile(self, *_):
        return io.BytesIO(self._data)


def check(data):
    """Check that there is no answer, or one that is well-formed HTTP and JSON."""
    loop = asyncio.new_event_loop()
    try:
        reader = asyncio.StreamReader(loop=loop)
    finally:
        loop.close()
    reader.feed_data(data)
    reader.feed_eof()
    writer = Writer()
    run(serve_request(reader, writer, OfflineSimulator(users=2)))
    sent = writer.sent.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    if sent:
        answer = http.client.HTTPResponse(Socket(sent), method="POST")
        answer.begin()
        assert answer.status in STATUSES
        assert answer.headers["Content-Type"] == "application/json"
        check_answer(answer.status, json.loads(answer.read()))


def check_answer(status, answer):
    """Check that the answer is a result or an error, as documented."""
    if answer.pop("result_code") == 0:
        assert status == 200
        ((name, value),) = answer.items()
        assert name in {"ticket", "uuids"}
        assert isinstance(value, str if name == "ticket" else list)
    else:
        assert answer.keys() == {"error"}
        assert answer["error"].keys() == {"id", "reason"}
        assert answer["error"]["id"] in ERRORS
