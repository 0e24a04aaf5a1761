"""The simulator's HTTP API: tickets and calls."""

from __future__ import annotations

import http.client
import json
import socket
import threading

import pytest
from support.simulator_clients import FEED_PATH, auth_header, connect_client, current_mirror

from basix_ws_cti import AuthenticationError, FieldSpec, Ticket, connect
from basix_ws_cti.simulator import Simulator

TICKET_PATH, CALL_PATH = "/basix/api/gen_ws_ticket", "/basix/api/call_user"


@pytest.fixture
def pbx():
    with Simulator(calls=False) as pbx:
        yield pbx


def send_request(pbx, path, body, headers=None, *, method="POST", context=None):
    """Send a request to the API; return status, headers and body (JSON objects are decoded)."""
    host = pbx.api_url.partition("://")[2]
    if context is None:
        connection = http.client.HTTPConnection(host, timeout=10)
    else:
        connection = http.client.HTTPSConnection(host, timeout=10, context=context)
    try:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, auth_header() if headers is None else headers)
        response = connection.getresponse()
        text = response.read()
        return response.status, response.headers, json.loads(text) if text[:1] == b"{" else text
    finally:
        connection.close()


async def test_ticket_of_the_api_is_valid_once(pbx):
    status, headers, answer = send_request(pbx, TICKET_PATH, {"uri": f"{FEED_PATH}?app_name=a"})
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert answer.keys() == {"result_code", "ticket"}
    assert answer["result_code"] == 0
    ticket = Ticket(answer["ticket"])
    async with connect(pbx.url, app_name="a", credentials=ticket) as cti:
        assert isinstance(await anext(cti), FieldSpec)
    with pytest.raises(AuthenticationError):
        async with connect(pbx.url, app_name="a", credentials=ticket):
            pass


async def test_called_user_can_listen_in(pbx):
    """The API calls a user, and the returned channel can eavesdrop on a call."""
    lead = pbx.call()
    pbx.answer(lead)
    status, _, answer = send_request(
        pbx, CALL_PATH, {"user_id": 10001002, "destination": "media_plug"}
    )
    assert status == 200
    assert answer["result_code"] == 0
    (plug,) = answer["uuids"]
    async with connect_client(pbx) as cti:
        mirror = await current_mirror(pbx, cti)
        assert mirror.kinds["channel"][plug]["answer_timestamp"]
        await cti.send(
            {"cmd": "eavesdrop", "uuid": plug, "target_uuid": lead, "subcommand": "listen"}
        )
        async for message in cti:
            if message.element.uuid == plug and message.element.state.name == "eavesdrop":
                break
    assert pbx.snapshot()["channel"][plug]["state"]["data"]["uuid"] == lead


async def test_api_over_tls():
    """It has the feed's certificate."""
    async with Simulator(calls=False, tls=True) as pbx:
        assert pbx.api_url.startswith("https://127.0.0.1:")
        import asyncio

        status, _, answer = await asyncio.to_thread(
            send_request,
            pbx,
            TICKET_PATH,
            {"uri": f"{FEED_PATH}?app_name=a"},
            context=pbx.connect_args["ssl"],
        )
        assert (status, answer["result_code"]) == (200, 0)


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        (TICKET_PATH, {}, 400, "needs uri as a string"),
        (TICKET_PATH, {"uri": 7}, 400, "needs uri as a string"),
        (TICKET_PATH, {"uri": "/elsewhere"}, 400, "only valid for"),
        (TICKET_PATH, {"uri": f"{FEED_PATH}?app_name=a&full_events=true"}, 400, "full_events"),
        (TICKET_PATH, [], 400, "must be a JSON object"),
        (TICKET_PATH, b"{", 400, "must be a JSON object"),
        (TICKET_PATH, b"", 400, "must be a JSON object"),
        (TICKET_PATH, b"\xff", 400, "must be a JSON object"),
        (TICKET_PATH, b"[" * 60_000, 400, "must be a JSON object"),
        (CALL_PATH, {"user_id": 10001001}, 400, "destination as a string"),
        (CALL_PATH, {"user_id": "10001001", "destination": "x"}, 400, "user_id"),
        (CALL_PATH, {"user_id": 7, "destination": "x"}, 409, "no user has the id 7"),
        ("/basix/api/other", {}, 404, "unknown path"),
        ("/", {}, 404, "unknown path"),
        ("/gen_ws_ticket", {"uri": f"{FEED_PATH}?app_name=a"}, 404, "unknown path"),
    ],
)
def test_invalid_request_has_status_and_reason(pbx, path, body, status, reason):
    received, _, answer = send_request(pbx, path, body)
    assert received == status
    assert answer["result_code"] == 1
    assert reason in answer["reason"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        auth_header("demo", "wrong"),
        auth_header("ws_ticket"),
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic /w=="},
        {"Authorization": auth_header()["Authorization"].replace("Basic", "Digest")},
    ],
)
def test_wrong_credentials_are_refused(pbx, headers):
    """They are refused for every path."""
    for path in (TICKET_PATH, "/"):
        status, response_headers, answer = send_request(pbx, path, {}, headers)
        assert status == 401
        assert response_headers["WWW-Authenticate"].startswith('Basic realm="Basix"')
        assert "credentials" in answer["reason"]


def test_ticket_does_not_authenticate_at_the_api(pbx):
    ticket = pbx.ticket(f"{FEED_PATH}?app_name=a")
    assert send_request(pbx, TICKET_PATH, {}, auth_header("ws_ticket", ticket))[0] == 401


@pytest.mark.parametrize("size", [None, "65537", "99999999999999", "-1", "x", ""])
def test_invalid_content_length_is_refused(pbx, size):
    """The body is refused before it is read."""
    head = [
        f"POST {TICKET_PATH} HTTP/1.1",
        "Host: x",
        *(f"{k}: {v}" for k, v in auth_header().items()),
    ]
    if size is not None:
        head.append(f"Content-Length: {size}")
    port = int(pbx.api_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall("\r\n".join([*head, "", ""]).encode())
        answer = b""
        while data := sock.recv(65536):
            answer += data
    assert b" 400 " in answer.splitlines()[0]
    assert b"from 0 to 65536" in answer


def test_other_methods_are_refused(pbx):
    assert send_request(pbx, TICKET_PATH, b"", method="GET")[0] in {405, 501}


def test_japanese_credentials():
    with Simulator(calls=False, token="ひみつ:/@", domain="会社") as pbx:
        headers = auth_header("会社", "ひみつ:/@")
        assert send_request(pbx, TICKET_PATH, {"uri": f"{FEED_PATH}?app_name=a"}, headers)[0] == 200


def test_log_has_only_the_status_of_a_request(pbx, caplog):
    caplog.set_level("DEBUG", logger="basix_ws_cti.simulator")
    send_request(pbx, "/canary", {"canary": 1})
    assert "answered: status 404" in caplog.text
    send_request(pbx, "/", b"", method="CANARY")
    assert "canary" not in caplog.text.lower()


def test_idle_client_leaves_no_thread():
    before = set(threading.enumerate())
    with Simulator(calls=False) as pbx:
        port = int(pbx.api_url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)):
            while len(set(threading.enumerate()) - before) < 3:
                pass
            pbx.__exit__(None, None, None)
            assert set(threading.enumerate()) == before
