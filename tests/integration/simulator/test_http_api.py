from __future__ import annotations

import http.client
import json
import socket
import threading

import pytest
from support.simulator_clients import FEED, client, header, seen

from basix_ws_cti import AuthenticationError, FieldSpec, Ticket, connect
from basix_ws_cti.simulator import Simulator

TICKET, CALL = "/basix/api/gen_ws_ticket", "/basix/api/call_user"


@pytest.fixture
def pbx():
    with Simulator(calls=False, api=True) as pbx:
        yield pbx


def ask(pbx, path, body, headers=None, *, method="POST", context=None):
    """A request to the API: status, headers, and the answer."""
    host = pbx.api_url.partition("://")[2]
    if context is None:
        connection = http.client.HTTPConnection(host, timeout=10)
    else:
        connection = http.client.HTTPSConnection(host, timeout=10, context=context)
    try:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, header() if headers is None else headers)
        response = connection.getresponse()
        text = response.read()
        return response.status, response.headers, json.loads(text) if text[:1] == b"{" else text
    finally:
        connection.close()


async def test_a_ticket_by_request(pbx):
    """The API gives a ticket that opens its target once."""
    status, headers, answer = ask(pbx, TICKET, {"uri": f"{FEED}?app_name=a"})
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert answer.keys() == {"result_code", "ticket"}
    assert answer["result_code"] == 0
    ticket = Ticket(answer["ticket"])
    async with connect(pbx.url, app_name="a", credentials=ticket) as cti:
        assert isinstance(await anext(cti), FieldSpec)
    with pytest.raises(AuthenticationError):
        async with connect(pbx.url, app_name="a", credentials=ticket):
            pass


async def test_a_plug_by_request(pbx):
    """The API calls a user, and the channel that it names can listen in on a call."""
    line = pbx.call()
    pbx.answer(line)
    status, _, answer = ask(pbx, CALL, {"user_id": 10001002, "destination": "media_plug"})
    assert status == 200
    assert answer["result_code"] == 0
    (plug,) = answer["uuids"]
    async with client(pbx) as cti:
        picture = await seen(pbx, cti)
        assert picture.kinds["channel"][plug]["answer_timestamp"]
        await cti.send(
            {"cmd": "eavesdrop", "uuid": plug, "target_uuid": line, "subcommand": "listen"}
        )
        async for message in cti:
            if message.element.uuid == plug and message.element.state.name == "eavesdrop":
                break
    assert pbx.snapshot()["channel"][plug]["state"]["data"]["uuid"] == line


async def test_the_api_over_tls():
    """With TLS the API has the feed's certificate."""
    async with Simulator(calls=False, api=True, tls=True) as pbx:
        assert pbx.api_url.startswith("https://127.0.0.1:")
        import asyncio

        status, _, answer = await asyncio.to_thread(
            ask, pbx, TICKET, {"uri": f"{FEED}?app_name=a"}, context=pbx.connect_args["ssl"]
        )
        assert (status, answer["result_code"]) == (200, 0)


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        (TICKET, {}, 400, "needs uri as a string"),
        (TICKET, {"uri": 7}, 400, "needs uri as a string"),
        (TICKET, {"uri": "/elsewhere"}, 400, "only valid for"),
        (TICKET, {"uri": f"{FEED}?app_name=a&full_events=true"}, 400, "full_events"),
        (TICKET, [], 400, "must be a JSON object"),
        (TICKET, b"{", 400, "must be a JSON object"),
        (TICKET, b"", 400, "must be a JSON object"),
        (TICKET, b"\xff", 400, "must be a JSON object"),
        (TICKET, b"[" * 60_000, 400, "must be a JSON object"),
        (CALL, {"user_id": 10001001}, 400, "destination as a string"),
        (CALL, {"user_id": "10001001", "destination": "x"}, 400, "user_id"),
        (CALL, {"user_id": 7, "destination": "x"}, 409, "no user has the id 7"),
        ("/basix/api/other", {}, 404, "unknown path"),
        ("/", {}, 404, "unknown path"),
        ("/gen_ws_ticket", {"uri": f"{FEED}?app_name=a"}, 404, "unknown path"),
    ],
)
def test_what_is_refused(pbx, path, body, status, reason):
    """What makes no sense has its status, and an answer that says why."""
    got, _, answer = ask(pbx, path, body)
    assert got == status
    assert answer["result_code"] == 1
    assert reason in answer["reason"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        header("demo", "wrong"),
        header("ws_ticket"),
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic /w=="},
        {"Authorization": header()["Authorization"].replace("Basic", "Digest")},
    ],
)
def test_who_is_refused(pbx, headers):
    """Without the domain and its token there is a 401, whatever was asked."""
    for path in (TICKET, "/"):
        status, answered, answer = ask(pbx, path, {}, headers)
        assert status == 401
        assert answered["WWW-Authenticate"].startswith('Basic realm="Basix"')
        assert "credentials" in answer["reason"]


def test_a_ticket_does_not_open_the_api(pbx):
    """A ticket is for the feed alone."""
    ticket = pbx.ticket(f"{FEED}?app_name=a")
    assert ask(pbx, TICKET, {}, header("ws_ticket", ticket))[0] == 401


@pytest.mark.parametrize("size", [None, "65537", "99999999999999", "-1", "x", ""])
def test_a_length_of_no_sense(pbx, size):
    """A body that is too big, or of unknown length, is refused before it comes."""
    lines = [f"POST {TICKET} HTTP/1.1", "Host: x", *(f"{k}: {v}" for k, v in header().items())]
    if size is not None:
        lines.append(f"Content-Length: {size}")
    port = int(pbx.api_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    assert b" 400 " in answer.splitlines()[0]
    assert b"from 0 to 65536" in answer


def test_get_is_not_there(pbx):
    """Another method than POST is refused."""
    assert ask(pbx, TICKET, b"", method="GET")[0] in {405, 501}


def test_japanese_credentials_at_the_api():
    """The API takes a token of any text, too."""
    with Simulator(calls=False, api=True, token="ひみつ:/@", domain="会社") as pbx:
        headers = header("会社", "ひみつ:/@")
        assert ask(pbx, TICKET, {"uri": f"{FEED}?app_name=a"}, headers)[0] == 200


def test_the_log_holds_nothing_of_requests(pbx, caplog):
    """Each answer is logged by its status alone."""
    caplog.set_level("DEBUG", logger="basix_ws_cti.simulator")
    ask(pbx, "/canary", {"canary": 1})
    assert "answered: status 404" in caplog.text
    ask(pbx, "/", b"", method="CANARY")
    assert "canary" not in caplog.text.lower()


def test_an_idle_client_of_the_api_leaves_no_thread():
    """A client that connects and says nothing does not outlive the block."""
    before = set(threading.enumerate())
    with Simulator(calls=False, api=True) as pbx:
        port = int(pbx.api_url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)):
            while len(set(threading.enumerate()) - before) < 3:
                pass
            pbx.__exit__(None, None, None)
            assert set(threading.enumerate()) == before
