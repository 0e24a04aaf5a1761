"""The simulator's HTTP API: tickets and calls."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket

import pytest
from support.simulator_clients import FEED_PATH, auth_header, connect_client

from basix_ws_cti import (
    AuthenticationError,
    Client,
    FieldSpec,
    HttpApi,
    HttpApiError,
    Ticket,
    connect,
)
from basix_ws_cti.simulator import Simulator

TICKET_PATH, CALL_PATH = "/basix/api/gen_ws_ticket", "/basix/api/call_user"


@pytest.fixture
def pbx():
    with Simulator(calls=False) as pbx:
        yield pbx


def send_request(pbx, path, body, headers=None, *, method="POST", context=None):
    """Send a request to the API; return status, headers and body (JSON objects are decoded).

    A ``GET`` has no body: websockets 15.0 closes the connection of one with a content length.
    """
    host = pbx.api_url.partition("://")[2]
    if context is None:
        connection = http.client.HTTPConnection(host, timeout=10)
    else:
        connection = http.client.HTTPSConnection(host, timeout=10, context=context)
    try:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
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
    """One of the returned channels is answered after the response, and can eavesdrop on a call."""
    pbx.add_terminal("1002")
    lead = pbx.call()
    pbx.answer(lead)
    status, _, answer = send_request(
        pbx, CALL_PATH, {"user_id": 10001002, "destination": "media_plug"}
    )
    assert status == 200
    assert answer["result_code"] == 0
    assert len(answer["uuids"]) == 2
    assert not pbx.snapshot()["channel"].keys() & set(answer["uuids"])
    async with connect_client(pbx) as cti:
        plug = None
        async for message in cti:
            leg = getattr(message, "element", None)
            if plug is None and getattr(leg, "last_event", None) == "CHANNEL_ANSWER":
                assert leg.uuid in answer["uuids"]
                assert (leg.calling_number, leg.user_id) == ("media_plug", 10001002)
                plug = leg.uuid
                await cti.send(
                    {"cmd": "eavesdrop", "uuid": plug, "target_uuid": lead, "subcommand": "listen"}
                )
            if plug and leg.uuid == plug and leg.state.name == "eavesdrop":
                break
    channels = pbx.snapshot()["channel"]
    assert channels[plug]["state"]["data"]["uuid"] == lead
    assert channels.keys() & set(answer["uuids"]) == {plug}


@pytest.mark.slow
async def test_api_and_client_library_work_together():
    """Tickets, click-to-call and errors, with one address for the feed and the API."""
    async with Simulator(calls=False) as pbx:
        arguments = {name: pbx.connect_args[name] for name in ("server", "domain", "token")}
        async with (
            HttpApi(**arguments) as api,
            Client(pbx.url, app_name="a", credentials=api.ticket) as client,
        ):
            await client.synced(timeout=10)
            pbx.connections[0].transport.drop()
            await client.wait_for(lambda _: len(pbx.connections) == 1, timeout=10)
            (uuid,) = await api.call_user("0398765432", user_extension="1001")
            await client.wait_for(lambda mirror: uuid in mirror.channels, timeout=10)
            assert pbx.answer(uuid) == uuid
            callee = pbx.answer(uuid)
            mirror = await client.wait_for(lambda mirror: callee in mirror.channels, timeout=10)
            assert mirror
            uuids = await api.call_group("1001", group_extension="1900")
            assert len(uuids) == len(set(uuids)) == 4  # one member is in a call
            with pytest.raises(HttpApiError) as caught:
                await api.call_user("1002", user_id=7)
            assert (caught.value.result_code, caught.value.error_id) == (1, "user_not_found")
        async with HttpApi(**arguments | {"token": "wrong"}) as api:
            with pytest.raises(AuthenticationError, match="authentication_required"):
                await api.call_user("1002", user_id=7)
            async with Client(pbx.url, app_name="b", credentials=api.ticket) as client:
                with pytest.raises(AuthenticationError):
                    await client.synced(timeout=10)


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
    ("path", "body", "error_id", "reason"),
    [
        (TICKET_PATH, {}, "invalid_parameter", "needs uri as a string"),
        (TICKET_PATH, {"uri": 7}, "invalid_parameter", "needs uri as a string"),
        (TICKET_PATH, {"uri": "/elsewhere"}, "invalid_parameter", "only valid for"),
        (
            TICKET_PATH,
            {"uri": f"{FEED_PATH}?app_name=a&full_events=true"},
            *("invalid_parameter", "full_events"),
        ),
        (TICKET_PATH, [], "invalid_parameter", "must be a JSON object"),
        (TICKET_PATH, b"{", "invalid_parameter", "must be a JSON object"),
        (TICKET_PATH, b"", "invalid_parameter", "must be a JSON object"),
        (TICKET_PATH, b"\xff", "invalid_parameter", "must be a JSON object"),
        (TICKET_PATH, b"[" * 60_000, "invalid_parameter", "must be a JSON object"),
        (CALL_PATH, {"user_id": 10001001}, "invalid_parameter", "destination must be"),
        (CALL_PATH, {"user_id": 7, "destination": "x"}, "user_not_found", "no user has this"),
    ],
)
def test_error_has_status_200_and_an_id(pbx, path, body, error_id, reason):
    """The only known caller reads the error from a successful response."""
    status, _, answer = send_request(pbx, path, body)
    assert status == 200
    assert answer["result_code"] == 1
    assert answer["error"]["id"] == error_id
    assert reason in answer["error"]["reason"]


@pytest.mark.parametrize(
    "path", ["/basix/api/other", "/", "/gen_ws_ticket", "//[::1", "/basix/api/"]
)
def test_unknown_path_has_status_404(pbx, path):
    status, _, answer = send_request(pbx, path, {"uri": f"{FEED_PATH}?app_name=a"})
    assert (status, answer["error"]["id"]) == (404, "bad_request")
    assert "unknown path" in answer["error"]["reason"]


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
        status, _, answer = send_request(pbx, path, {}, headers)
        assert (status, answer["result_code"]) == (200, 1)
        assert answer["error"]["id"] == "authentication_required"


def test_ticket_does_not_authenticate_at_the_api(pbx):
    ticket = pbx.ticket(f"{FEED_PATH}?app_name=a")
    answer = send_request(pbx, TICKET_PATH, {}, auth_header("ws_ticket", ticket))[2]
    assert answer["error"]["id"] == "authentication_required"


def send_bytes(pbx, data, *, end=False):
    """Send bytes to the port; return what the server sends until it closes the connection."""
    port = int(pbx.api_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        answer = b""
        with contextlib.suppress(OSError):  # the server may close before it has read everything
            for piece in data:
                sock.sendall(piece)
            if end:
                sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while data := sock.recv(65536):
                answer += data
    return answer


def head(*lines):
    login = (f"{k}: {v}" for k, v in auth_header().items())
    return "\r\n".join([f"POST {TICKET_PATH} HTTP/1.1", "Host: x", *login, *lines, "", ""]).encode()


@pytest.mark.parametrize("size", [None, "65537", "99999999999999", "-1", "x", ""])
def test_invalid_content_length_is_refused(pbx, size):
    """The body is refused before it is read."""
    answer = send_bytes(pbx, [head() if size is None else head(f"Content-Length: {size}")])
    assert b" 400 " in answer.splitlines()[0]
    assert b"from 0 to 65536" in answer


def test_request_in_pieces_is_answered(pbx):
    body = json.dumps({"uri": f"{FEED_PATH}?app_name=a"}).encode()
    data = head(f"Content-Length: {len(body)}", "Expect: 100-continue") + body
    answer = send_bytes(pbx, [data[at : at + 1] for at in range(len(data))])
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert b'"ticket"' in answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST /\r\n\r\n", b"400"),
        (b"POST / HTTP/2\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nX: " + b"y" * 140_000, b"431"),
    ],
    ids=["no version", "HTTP/2", "200 headers", "long header"],
)
def test_invalid_head_is_refused(pbx, data, status):
    assert send_bytes(pbx, [data], end=True).split(b" ")[1] == status


@pytest.mark.parametrize("data", [b"", b"P", b"POST", b"POST / HTTP/1.1\r\nHost"])
def test_request_that_is_cut_off_gets_no_answer(pbx, data):
    assert send_bytes(pbx, [data], end=True) == b""


def test_get_is_for_the_feed_only(pbx):
    assert send_request(pbx, TICKET_PATH, None, method="GET")[0] == 404


def test_japanese_credentials():
    with Simulator(calls=False, token="ひみつ:/@", domain="会社") as pbx:
        headers = auth_header("会社", "ひみつ:/@")
        assert send_request(pbx, TICKET_PATH, {"uri": f"{FEED_PATH}?app_name=a"}, headers)[0] == 200


def test_log_has_only_the_status_of_a_request(pbx, caplog):
    caplog.set_level("DEBUG", logger="basix_ws_cti.simulator")
    send_request(pbx, "/canary", {"canary": 1})
    assert "answered: status 404" in caplog.text
    assert "canary" not in caplog.text.lower()


@pytest.mark.parametrize("data", [b"", b"PO", b"POST / HTTP/1.1\r\n"])
def test_idle_client_does_not_delay_the_end(data):
    with contextlib.ExitStack() as stack:
        pbx = stack.enter_context(Simulator(calls=False))
        port = int(pbx.api_url.rpartition(":")[2])
        sock = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        sock.sendall(data)
        pbx.restart()
        pbx.__exit__(None, None, None)
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1) == b""
