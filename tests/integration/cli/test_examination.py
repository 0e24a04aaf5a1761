"""Examination of a PBX, and of servers that are none: each failure is found by its step."""

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
    QUIET,
    cut,
    examined,
    failed,
    listening,
    say_nothing,
    speak_http,
    speak_ssh,
)
from support.faulty_proxy import Proxy
from websockets.asyncio.server import serve

from basix_ws_cti import connect
from basix_ws_cti.cli.diagnostics.examination import Examination
from basix_ws_cti.cli.diagnostics.findings import Mark
from basix_ws_cti.client.client import QUIET_TIME
from basix_ws_cti.simulator import Simulator, faults

# -- a PBX ----------------------------------------------------------------------------------


async def test_all_is_well():
    """Every step is found well, with what there is: addresses, status, elements, pings."""
    async with Simulator(calls=False, users=7) as pbx:
        findings = await examined(pbx.url)
    assert {one.mark for one in findings.values()} == {Mark.OK}
    assert findings["dns"].details == {"addresses": ["127.0.0.1"]}
    assert findings["http"].details == {"status": 101}
    elements = findings["snapshot"].details["elements"]
    assert elements == {kind: len(every) for kind, every in pbx.pbx.snapshot().items()}
    assert elements["user"] == 7
    assert 0 < findings["pings"].details["min"] <= findings["pings"].details["average"]


@pytest.mark.parametrize("specs_first", [True, False])
async def test_a_busy_pbx(specs_first):
    """Events that come all the time keep nobody from an end, however the kinds are announced."""
    async with Simulator(specs_first=specs_first, users=30) as pbx:
        pbx.inject(faults.Flood(20_000), after=0)
        findings = await examined(pbx.url, slow_ping=60)  # a flood is slow on a busy machine
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
        (faults.DelayHandshake(60), "http", "no answer within 0.5 s", "busy"),
        (faults.DropDuringSnapshot(0), "field_spec", "1006", "connections end"),
        (faults.DropDuringSnapshot(3), "snapshot", "1006", "connections end"),
        (faults.EventFirst(), "field_spec", "no field_spec received", "--server"),
    ],
    ids=str,
)
async def test_each_fault_of_the_handshake(fault, step, word, advice):
    """Whatever the simulator does to a handshake, its step is named, and what to do."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(fault)
        finding = await failed(pbx.url, step if isinstance(fault, faults.DelayHandshake) else None)
    assert finding.step == step
    assert word in finding.found
    assert advice in finding.advice


async def test_a_wrong_token():
    """Credentials that the PBX does not know fail at the login."""
    async with Simulator(calls=False) as pbx:
        finding = await failed(pbx.url, domain="another")
    assert finding.step == "login"


async def test_the_limit():
    """Two connections are there: the third fails at the limit, and with force it does not."""
    async with Simulator(calls=False) as pbx, contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            cti = connect(**{**pbx.connect_args, **ARGUMENTS})
            await stack.enter_async_context(cti)
        finding = await failed(pbx.url)
        assert finding.step == "limit"
        assert "--app-name" in finding.advice
        assert "--force" in finding.advice
        findings = await examined(pbx.url, force=True)
    assert {one.mark for one in findings.values()} == {Mark.OK}


async def test_silence():
    """A PBX from which not even a pong comes fails at the pings."""
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
        findings = await examined(pbx.url, slow_ping=0)
    assert findings["pings"].mark is Mark.WARNING
    assert "lags" in findings["pings"].advice


# -- no PBX ---------------------------------------------------------------------------------


async def test_an_unknown_host():
    """A name that nobody knows fails at the DNS."""
    finding = await failed("no-such-host.invalid")
    assert (finding.step, "has no address" in finding.found) == ("dns", True)


async def test_a_refused_port():
    """A port at which nobody listens fails at TCP."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # and does not listen
        finding = await failed(f"ws://127.0.0.1:{sock.getsockname()[1]}")
    assert finding.step == "tcp"
    assert "refused" in finding.found
    assert "nothing listens" in finding.advice


async def test_one_of_two_addresses(monkeypatch):
    """An address that refuses is a warning when another one answers."""
    real = asyncio.get_running_loop().getaddrinfo
    async with Simulator(calls=False) as pbx:

        async def two(host, port, **more):
            (found,) = await real(host, port, **more)
            return [(*found[:4], ("127.0.0.2", port)), found]

        examination = Examination({**ARGUMENTS, "server": pbx.url})
        with monkeypatch.context() as patched:
            patched.setattr(asyncio.get_running_loop(), "getaddrinfo", two)
            async with contextlib.aclosing(examination.findings()) as findings:
                assert (await anext(findings)).details["addresses"] == ["127.0.0.2", "127.0.0.1"]
                finding = await anext(findings)
    assert finding.mark is Mark.WARNING
    assert finding.details["address"] == "127.0.0.1"
    assert [*finding.details["missed"]] == ["127.0.0.2"]


@pytest.mark.parametrize(
    ("answer", "scheme", "step", "word"),
    [
        (say_nothing, "ws", "http", "no answer within 0.5 s"),
        (say_nothing, "wss", "tls", "no answer within 0.5 s"),
        (speak_http, "ws", "http", "HTTP 200"),
        (speak_http, "wss", "tls", "does not speak TLS"),
        (speak_ssh, "ws", "http", "handshake"),
        (speak_ssh, "wss", "tls", "does not speak TLS"),
        (cut, "ws", "http", "handshake"),
        (cut, "wss", "tls", "handshake failed"),
    ],
)
async def test_other_servers(answer, scheme, step, word):
    """What speaks otherwise, cuts, or says nothing fails where that is seen, and is described."""
    async with listening(answer) as address:
        hasty = step if answer is say_nothing else None
        finding = await failed(f"{scheme}://{address}", hasty)
    assert finding.step == step
    assert word in finding.found


async def test_plain_to_a_tls_port():
    """Plain ws:// to a port that speaks TLS fails at HTTP, and wss:// is the advice."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    async with listening(say_nothing, ssl=context) as address:
        finding = await failed(f"ws://{address}")
    assert finding.step == "http"
    assert "wss://" in finding.advice


@contextlib.asynccontextmanager
async def sending(*said):
    """A WebSocket server that lets everybody in, says this, and waits."""

    async def handle(websocket):
        for one in said:
            await websocket.send(one)
        if said[-1:] != ("",):
            await websocket.wait_closed()

    async with serve(handle, "127.0.0.1", 0, logger=QUIET, close_timeout=1) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


@pytest.mark.parametrize(
    ("said", "step", "word"),
    [
        ([], "field_spec", "nothing received within"),
        ([b"\x00garbage"], "field_spec", "cannot read a frame"),
        (["hello"], "field_spec", "text frame"),
        ([frame(("hello", 1))], "field_spec", "the first message is UnknownMessage"),
        ([frame(("system_msg", "logout"))], "field_spec", "'logout'"),
        ([field_spec("user", "id")], "snapshot", "no initial_info of user"),
        ([field_spec("user", "id"), b"\x83"], "snapshot", "cannot read a frame"),
        ([field_spec("user", "id"), ""], "snapshot", "cannot read a frame"),
        ([field_spec("user", "id"), info_event("user", (1,))], "snapshot", "initial_info"),
    ],
)
async def test_other_feeds(said, step, word):
    """A WebSocket that says nothing, or not what a PBX says, fails where that is seen."""
    async with sending(*said) as server:
        finding = await failed(server, "snapshot" if said else "limit")
    assert finding.step == step
    assert word in finding.found


async def test_a_slow_snapshot():
    """A pause before what was announced is waited out, however quiet the feed is in it."""

    async def handle(websocket):
        await websocket.send(field_spec("user", "id"))
        await asyncio.sleep(4 * QUIET_TIME)
        await websocket.send(initial_info("user", (1,), (2,)))
        await websocket.wait_closed()

    async with serve(handle, "127.0.0.1", 0, logger=QUIET) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        findings = await examined(f"ws://127.0.0.1:{port}")
    assert findings["snapshot"].details == {"elements": {"user": 2}}


async def test_a_feed_that_ends_at_once():
    """A proper close in the place of a first message fails at the field_spec."""

    async def close(websocket):
        await websocket.close()

    async with serve(close, "127.0.0.1", 0, logger=QUIET) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        finding = await failed(f"ws://127.0.0.1:{port}")
    assert finding.step == "field_spec"
    assert "1000" in finding.found


@pytest.mark.parametrize(("remaining", "step"), [(0, "http"), (50, "http"), (300, "field_spec")])
async def test_a_proxy_that_cuts(remaining, step):
    """A proxy that cuts the connection after so many bytes fails where they are missed."""
    async with Simulator(calls=False) as pbx, Proxy(int(pbx.url.rpartition(":")[2])) as proxy:

        def cut_after(link):
            link.down.remaining = remaining

        proxy.on_link = cut_after
        finding = await failed(f"ws://127.0.0.1:{proxy.port}")
    assert finding.step == step
