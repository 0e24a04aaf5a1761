"""Examination of a PBX and of other servers: each failure is found in its step."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

import pytest
import trustme
from support.etf_encoder import field_spec, frame, info_event, initial_info
from support.examinations import (
    ARGUMENTS,
    SILENT_LOGGER,
    close_after_one_byte,
    examine,
    failed_finding,
    speak_http,
    speak_ssh,
    stay_silent,
    tcp_server,
)
from support.faulty_proxy import Proxy
from support.networks import black_hole, hanging_look_ups, resolve_to
from websockets.asyncio.server import serve

from basix_ws_cti import connect
from basix_ws_cti.cli.diagnostics.examination import Examination
from basix_ws_cti.cli.diagnostics.findings import Mark
from basix_ws_cti.client.client import QUIET_TIME
from basix_ws_cti.simulator import Simulator, faults

# -- a PBX ----------------------------------------------------------------------------------


async def test_every_step_succeeds():
    """Findings have addresses, HTTP status, element counts and ping times."""
    async with Simulator(calls=False, users=7) as pbx:
        findings = await examine(pbx.url)
    assert {one.mark for one in findings.values()} == {Mark.OK}
    assert findings["dns"].details == {"addresses": ["127.0.0.1"]}
    assert findings["http"].details == {"status": 101}
    elements = findings["snapshot"].details["elements"]
    assert elements == {kind: len(every) for kind, every in pbx.pbx.snapshot().items()}
    assert elements["user"] == 7
    assert 0 < findings["pings"].details["min"] <= findings["pings"].details["average"]


@pytest.mark.parametrize("specs_first", [True, False])
@pytest.mark.slow
async def test_steps_finish_during_a_flood_of_events(specs_first):
    """This holds whether or not all field specs come first."""
    async with Simulator(specs_first=specs_first, users=30) as pbx:
        pbx.inject(faults.Flood(20_000), after=0)
        findings = await examine(pbx.url, slow_ping=60)  # a flood is slow on a busy machine
    assert {one.mark for one in findings.values()} == {Mark.OK}


@pytest.mark.parametrize(
    ("fault", "step", "word", "advice"),
    [
        (faults.Refuse(401), "login", "401", "--domain and the token"),
        (faults.Refuse(403), "login", "403", "right"),
        (faults.Refuse(301, location="wss://x"), "http", "301", "final server"),
        (faults.Refuse(308), "http", "308", "final server"),
        (faults.Refuse(400), "http", "400", "--app-name"),
        (faults.Refuse(404), "http", "404", "--server"),
        (faults.Refuse(407), "http", "407", "proxy"),
        (faults.Refuse(429, retry_after=30), "http", "429", "after 30 s"),
        (faults.Refuse(500), "http", "500", "down"),
        (faults.Refuse(503, retry_after=7), "http", "503", "after 7 s"),
        pytest.param(
            *(faults.DelayHandshake(60), "http", "no answer within 0.5 s", "busy"),
            marks=pytest.mark.slow,
        ),
        (faults.DropDuringSnapshot(0), "field_spec", "1006", "connections end"),
        (faults.DropDuringSnapshot(3), "snapshot", "1006", "connections end"),
        (faults.EventFirst(), "field_spec", "no field_spec received", "--server"),
    ],
    ids=str,
)
async def test_handshake_faults_are_found_in_their_step(fault, step, word, advice):
    async with Simulator(calls=False) as pbx:
        pbx.inject(fault)
        finding = await failed_finding(
            pbx.url, step if isinstance(fault, faults.DelayHandshake) else None
        )
    assert finding.step == step
    assert word in finding.found
    assert advice in finding.advice


async def test_unknown_domain_fails_the_login():
    async with Simulator(calls=False) as pbx:
        finding = await failed_finding(pbx.url, domain="another")
    assert finding.step == "login"


async def test_connection_limit_fails_without_force():
    async with Simulator(calls=False) as pbx, contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            cti = connect(**{**pbx.connect_args, **ARGUMENTS})
            await stack.enter_async_context(cti)
        finding = await failed_finding(pbx.url)
        assert finding.step == "limit"
        assert "--app-name" in finding.advice
        assert "--force" in finding.advice
        findings = await examine(pbx.url, force=True)
    assert {one.mark for one in findings.values()} == {Mark.OK}


@pytest.mark.slow
async def test_missing_pong_fails_the_pings():
    async with Simulator(calls=False) as pbx:
        examination = Examination({**ARGUMENTS, "server": pbx.url}, timeout=30)
        async for finding in examination.findings():
            if finding.step == "snapshot":
                pbx.inject(faults.Silence())
                examination.timeout = 0.5
    assert (finding.step, finding.mark) == ("pings", Mark.FAILED)
    assert "no pong within" in finding.found


async def test_slow_pings_give_a_warning_with_advice():
    async with Simulator(calls=False) as pbx:
        findings = await examine(pbx.url, slow_ping=0)
    assert findings["pings"].mark is Mark.WARNING
    assert "lags" in findings["pings"].advice


# -- other servers ---------------------------------------------------------------------------------


async def test_unknown_host_fails_dns():
    finding = await failed_finding("no-such-host.invalid")
    assert (finding.step, "has no address" in finding.found) == ("dns", True)


async def test_closed_port_fails_tcp():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # and does not listen
        finding = await failed_finding(f"ws://127.0.0.1:{sock.getsockname()[1]}")
    assert finding.step == "tcp"
    assert "refused" in finding.found
    assert "nothing listens" in finding.advice


async def test_refusing_address_is_a_warning_if_another_one_works(monkeypatch):
    async with Simulator(calls=False) as pbx:
        resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")
        server = pbx.url.replace("127.0.0.1", "localhost")
        examination = Examination({**ARGUMENTS, "server": server})
        async with contextlib.aclosing(examination.findings()) as findings:
            assert (await anext(findings)).details["addresses"] == ["127.0.0.2", "127.0.0.1"]
            finding = await anext(findings)
    assert finding.mark is Mark.WARNING
    assert finding.details["address"] == "127.0.0.1"
    assert finding.details["missed"] == {"127.0.0.2": "Connection refused"}


@pytest.mark.slow
async def test_silent_address_is_a_warning_if_another_one_works(monkeypatch):
    async with Simulator(calls=False) as pbx:
        port = int(pbx.url.rpartition(":")[2])
        with black_hole("127.0.0.2", port):
            resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")
            findings = await examine(pbx.url.replace("127.0.0.1", "localhost"))
    finding = findings.pop("tcp")
    assert finding.mark is Mark.WARNING
    assert finding.details["missed"] == {"127.0.0.2": "no answer so far"}
    assert {one.mark for one in findings.values()} == {Mark.OK}


@pytest.mark.slow
async def test_silent_addresses_fail_tcp_in_time(monkeypatch):
    with black_hole("127.0.0.2") as port:
        resolve_to(monkeypatch, "127.0.0.2", "127.0.0.3")
        finding = await failed_finding(f"ws://localhost:{port}", "tcp")
    assert finding.step == "tcp"
    missed = {"127.0.0.3": "Connection refused", "127.0.0.2": "no answer within 0.5 s"}
    assert finding.details["missed"] == missed


async def test_hanging_look_up_fails_dns_in_time(monkeypatch):
    examination = Examination({**ARGUMENTS, "server": "pbx.example"}, timeout=0.1)
    with hanging_look_ups(monkeypatch):
        async with contextlib.aclosing(examination.findings()) as findings:
            finding = await anext(findings)
    assert (finding.step, finding.mark) == ("dns", Mark.FAILED)
    assert finding.found == "no answer for pbx.example within 0.1 s"


@pytest.mark.parametrize(
    ("answer", "scheme", "step", "word"),
    [
        pytest.param(
            *(stay_silent, "ws", "http", "no answer within 0.5 s"), marks=pytest.mark.slow
        ),
        pytest.param(
            *(stay_silent, "wss", "tls", "no answer within 0.5 s"), marks=pytest.mark.slow
        ),
        (speak_http, "ws", "http", "HTTP 200"),
        (speak_http, "wss", "tls", "does not speak TLS"),
        (speak_ssh, "ws", "http", "handshake"),
        (speak_ssh, "wss", "tls", "does not speak TLS"),
        (close_after_one_byte, "ws", "http", "handshake"),
        (close_after_one_byte, "wss", "tls", "handshake failed"),
    ],
)
async def test_servers_that_are_not_a_pbx(answer, scheme, step, word):
    """The step that fails describes the answer."""
    async with tcp_server(answer) as address:
        fast_step = step if answer is stay_silent else None
        finding = await failed_finding(f"{scheme}://{address}", fast_step)
    assert finding.step == step
    assert word in finding.found


async def test_plain_connection_to_a_tls_port():
    """The step ``http`` fails, and the advice is ``wss://``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    async with tcp_server(stay_silent, ssl=context) as address:
        finding = await failed_finding(f"ws://{address}")
    assert finding.step == "http"
    assert "wss://" in finding.advice


@contextlib.asynccontextmanager
async def websocket_server(*frames):
    """Run a WebSocket server that accepts every client, sends these frames, and waits."""

    async def handle(websocket):
        for one in frames:
            await websocket.send(one)
        if frames[-1:] != ("",):
            await websocket.wait_closed()

    async with serve(handle, "127.0.0.1", 0, logger=SILENT_LOGGER, close_timeout=1) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


@pytest.mark.parametrize(
    ("frames", "step", "word"),
    [
        pytest.param([], "field_spec", "nothing received within", marks=pytest.mark.slow),
        ([b"\x00garbage"], "field_spec", "cannot read a frame"),
        (["hello"], "field_spec", "text frame"),
        ([frame(("hello", 1))], "field_spec", "the first message is UnknownMessage"),
        ([frame(("system_msg", "logout"))], "field_spec", "'logout'"),
        pytest.param(
            *([field_spec("user", "id")], "snapshot", "no initial_info of user"),
            marks=pytest.mark.slow,
        ),
        ([field_spec("user", "id"), b"\x83"], "snapshot", "cannot read a frame"),
        ([field_spec("user", "id"), ""], "snapshot", "cannot read a frame"),
        pytest.param(
            *([field_spec("user", "id"), info_event("user", (1,))], "snapshot", "initial_info"),
            marks=pytest.mark.slow,
        ),
    ],
)
async def test_feeds_that_are_not_a_pbx(frames, step, word):
    """A feed without the expected messages fails in the step that needs them."""
    async with websocket_server(*frames) as server:
        finding = await failed_finding(server, "snapshot" if frames else "limit")
    assert finding.step == step
    assert word in finding.found


@pytest.mark.slow
async def test_slow_snapshot_is_waited_for():
    """A pause longer than the quiet time does not end the step."""

    async def handle(websocket):
        await websocket.send(field_spec("user", "id"))
        await asyncio.sleep(4 * QUIET_TIME)
        await websocket.send(initial_info("user", (1,), (2,)))
        await websocket.wait_closed()

    async with serve(handle, "127.0.0.1", 0, logger=SILENT_LOGGER) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        findings = await examine(f"ws://127.0.0.1:{port}")
    assert findings["snapshot"].details == {"elements": {"user": 2}}


async def test_feed_that_closes_at_once_fails_the_field_spec():
    async def close(websocket):
        await websocket.close()

    async with serve(close, "127.0.0.1", 0, logger=SILENT_LOGGER) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        finding = await failed_finding(f"ws://127.0.0.1:{port}")
    assert finding.step == "field_spec"
    assert "1000" in finding.found


@pytest.mark.parametrize(("remaining", "step"), [(0, "http"), (50, "http"), (300, "field_spec")])
async def test_proxy_that_cuts_the_connection(remaining, step):
    """The step that misses the bytes fails."""
    async with Simulator(calls=False) as pbx, Proxy(int(pbx.url.rpartition(":")[2])) as proxy:

        def cut_after(link):
            link.down.remaining = remaining

        proxy.on_link = cut_after
        finding = await failed_finding(f"ws://127.0.0.1:{proxy.port}")
    assert finding.step == step
