"""``doctor``: each way to fail, named by its step; in this process, and as one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import logging
import re
import signal
import socket
import ssl

import pytest
import trustme
from canaries import SIMULATED
from command import run, run_here, start
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from frames import field_spec, frame, info_event, initial_info
from proxy import Proxy
from websockets.asyncio.server import serve

from basix_ws_cti import connect
from basix_ws_cti.cli.diagnostics import certificate, examination
from basix_ws_cti.cli.diagnostics.examination import STEPS, Examination, Mark
from basix_ws_cti.client.client import QUIET_TIME
from basix_ws_cti.simulator import Simulator, faults

ARGUMENTS = {"domain": "demo", "token": SIMULATED, "app_name": "doctor", "full_events": True}

QUIET = logging.getLogger("quiet")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


async def examined(server, hasty=None, **arguments):
    """All findings, by step; exactly one failed, or none, and those after it are skipped.

    The step ``hasty`` waits for 0.5 s, the others for as long as a busy machine may need.
    """
    given = {**ARGUMENTS, "server": server, **arguments}
    examination = Examination(given, timeout=0.5 if hasty == "http" else 30)
    examination._timeout = 30
    findings = []
    async for finding in examination.findings():
        findings.append(finding)
        if STEPS[len(findings) + 1 :][:1] == (hasty,):
            examination._timeout = 0.5
    assert [one.step for one in findings] == [*STEPS[1:]]
    marks = [one.mark for one in findings]
    if Mark.FAILED in marks:
        at = marks.index(Mark.FAILED)
        assert set(marks[at + 1 :]) <= {Mark.SKIPPED}
        assert Mark.SKIPPED not in marks[:at]
        assert findings[at].advice
    assert SIMULATED not in str(findings)
    return {one.step: one for one in findings}


async def failed(server, hasty=None, **arguments):
    """The finding that failed."""
    findings = await examined(server, hasty, **arguments)
    return next(one for one in findings.values() if one.mark is Mark.FAILED)


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
        findings = await examined(pbx.url)
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
        (faults.EventFirst(), "field_spec", "no field_spec has come", "--server"),
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
                examination._timeout = 0.5
    assert (finding.step, finding.mark) == ("pings", Mark.FAILED)
    assert "no answer to a ping" in finding.found


async def test_slow_pings(monkeypatch):
    """Round trips that are slow are a warning, with what it means."""
    monkeypatch.setattr(examination, "SLOW_PING", 0)
    async with Simulator(calls=False) as pbx:
        findings = await examined(pbx.url)
    assert findings["pings"].mark is Mark.WARNING
    assert "lags" in findings["pings"].advice


# -- no PBX ---------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def listening(answer, **options):
    """A server that does ``answer(reader, writer)`` to each connection; its host and port."""
    tasks = set()

    async def serve_one(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            with contextlib.suppress(OSError):
                await answer(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0, **options)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.sleep(0.01)  # one may just be accepted
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # a transport closes in the next turn


async def say_nothing(reader, _):
    await reader.read()


async def cut(reader, _):
    await reader.read(1)


async def speak_http(reader, writer):
    asked = await reader.read(1)
    if asked == b"G":
        await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
    await reader.read()


async def speak_ssh(reader, writer):
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await reader.read()


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
        (speak_http, "wss", "tls", "no TLS is spoken"),
        (speak_ssh, "ws", "http", "handshake"),
        (speak_ssh, "wss", "tls", "no TLS is spoken"),
        (cut, "ws", "http", "handshake"),
        (cut, "wss", "tls", "came to nothing"),
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
        ([], "field_spec", "nothing came within"),
        ([b"\x00garbage"], "field_spec", "can't be read"),
        (["hello"], "field_spec", "text frame"),
        ([frame(("hello", 1))], "field_spec", "UnknownMessage comes first"),
        ([frame(("system_msg", "logout"))], "field_spec", "'logout'"),
        ([field_spec("user", "id")], "snapshot", "no initial_info of user"),
        ([field_spec("user", "id"), b"\x83"], "snapshot", "can't be read"),
        ([field_spec("user", "id"), ""], "snapshot", "can't be read"),
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

        def greet(link):
            link.down.remaining = remaining

        proxy.greet = greet
        finding = await failed(f"ws://127.0.0.1:{proxy.port}")
    assert finding.step == step


# -- certificates ---------------------------------------------------------------------------

NOW = dt.datetime.now(dt.UTC)


def days(count):
    return NOW + dt.timedelta(days=count, hours=1)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def secured(
    authority, name="localhost", trust=True, addresses=("127.0.0.1",), **certificate_
):
    """The findings about a PBX with such a certificate, and such addresses."""

    async def resolved(_, port, **__):
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)) for address in addresses
        ]

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **certificate_).configure_cert(context)
    async with Simulator(calls=False, tls=context) as pbx:
        server = pbx.url.replace("127.0.0.1", "localhost")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
            return await examined(server, **({"ssl": trusting(authority)} if trust else {}))


async def test_a_good_certificate(authority):
    """For whom, by whom and until when is told, and the protocol; all else follows."""
    findings = await secured(authority, not_after=days(90))
    assert {one.mark for one in findings.values()} == {Mark.OK}
    details = findings["tls"].details
    assert details["names"] == ["localhost"]
    assert details["days_left"] == 90
    assert details["protocol"].startswith("TLSv1")
    assert "trustme" in details["issuer"]
    assert "90 days left" in findings["tls"].found


async def test_a_certificate_that_ends_soon(authority):
    """A certificate within its last 14 days is a warning, and no more."""
    findings = await secured(authority, not_after=days(13))
    assert findings["tls"].mark is Mark.WARNING
    assert "renewed" in findings["tls"].advice
    assert findings["pings"].mark is Mark.OK
    assert (await secured(authority, not_after=days(14)))["tls"].mark is Mark.OK


@pytest.mark.parametrize(
    ("certificate_", "word", "advice", "left"),
    [
        ({"not_before": days(-60), "not_after": days(-3)}, "expired", "new certificate", -3),
        ({"not_before": days(3), "not_after": days(9)}, "not yet valid", "clock", 9),
        ({"name": "pbx.example", "not_after": days(9)}, "mismatch", "name the server", 9),
        ({"trust": False, "not_after": days(9)}, "issuer", "--ca-file", 9),
    ],
)
async def test_a_certificate_that_is_not_accepted(authority, certificate_, word, advice, left):
    """Why it is refused, what it says all the same, and what to do; nothing is sent.

    It is looked at where somebody answers.
    """
    addresses = ("127.0.0.2", "127.0.0.1")
    finding = (await secured(authority, addresses=addresses, **certificate_))["tls"]
    assert finding.mark is Mark.FAILED
    assert word in finding.found.lower()
    assert advice in finding.advice
    assert finding.details["days_left"] == left
    assert finding.details["names"] == [certificate_.get("name", "localhost")]


async def test_a_certificate_that_vouches_for_itself(tmp_path):
    """A self-signed certificate is told for what it is."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pbx")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, days(20))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    async with listening(say_nothing, ssl=context) as address:
        finding = await failed(address.replace("127.0.0.1", "localhost"))
    assert finding.step == "tls"
    assert "self-signed" in finding.found
    assert finding.details["subject"] == finding.details["issuer"] == "commonName=pbx"
    assert "--ca-file" in finding.advice


def test_what_a_certificate_says():
    """Days are whole ones, counted down to negative ones, and a peer's text is made printable."""
    given = {
        "subject": ((("commonName", "a\x1b[2Jb"),),),
        "issuer": ((("organizationName", "x"),), (("commonName", "y"),)),
        "notAfter": "Jan  2 00:00:00 2030 GMT",
        "subjectAltName": (("DNS", "b"), ("DNS", "c")),
    }
    midnight = ssl.cert_time_to_seconds(given["notAfter"])
    details = certificate.details(given, midnight - 86400)
    assert details["subject"] == "commonName=a\N{REPLACEMENT CHARACTER}[2Jb"
    assert details["issuer"] == "organizationName=x, commonName=y"
    assert (details["days_left"], details["expires"]) == (1, "2030-01-02T00:00:00+00:00")
    assert "for b, c" in certificate.in_words(details)
    assert certificate.details(given, midnight - 86399)["days_left"] == 0
    assert "expired on 2030-01-02" in certificate.in_words(certificate.details(given, midnight + 1))


# -- the command ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pbx():
    with Simulator(calls=False) as pbx:
        yield pbx


def doctor(server, *options, token=SIMULATED, **more):
    variables = {"BASIX_TOKEN": token, "BASIX_DOMAIN": "demo"}
    done = run_here("doctor", "--server", server, *options, env=variables, **more)
    assert token not in done.stdout + done.stderr
    return done


def test_a_warning_is_shown_and_harms_nothing(pbx):
    """Neither a user nor full_events: a warning with advice, and still 0."""
    done = doctor(pbx.url)
    assert done.returncode == 0
    first, advice, *_ = done.stdout.splitlines()
    assert first.startswith("warning options")
    assert "--full-events" in advice


def test_json(pbx):
    """A JSON line for each step, with what programs ask for."""
    done = doctor(pbx.url, "--json", "--user-extension", "1001")
    assert done.returncode == 0
    findings = {one["step"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert [*findings] == [*STEPS]
    assert findings["options"]["details"]["user_extension"] == "1001"
    assert findings["options"]["details"]["token_from"] == "BASIX_TOKEN"
    assert findings["snapshot"]["details"]["elements"]["user"] == 5
    assert {one["mark"] for one in findings.values()} == {"ok"}


def test_a_simulated_one():
    """A line for each step, and 0 when all is well, as it is with --simulate."""
    done = run("doctor", "--simulate")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", step] for step in STEPS]
    assert "the token is from the simulator" in lines[0]
    assert re.search(r"\(\d+ ms\)$", lines[-1])


def test_a_private_ca_by_file(tmp_path, authority):
    """--ca-file has the CA; without it the step says so, and the exit code is 4."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    with Simulator(calls=False, tls=context) as pbx:
        server = pbx.url.replace("127.0.0.1", "localhost")
        good, bad = doctor(server, "--ca-file", path), doctor(server)
    assert good.returncode == 0
    assert "the chain leads to --ca-file" in good.stdout
    assert bad.returncode == 4
    assert "failed  tls" in bad.stdout
    assert "--ca-file" in bad.stdout


@pytest.mark.parametrize(
    ("server", "options", "code", "line"),
    [
        ("ws://127.0.0.1:1", [], 4, "failed  tcp"),
        ("ws://pbx.example", [], 2, "failed  options    credentials would cross"),
        ("x", ["--full-events", "--user-id", "1"], 2, "failed  options    user_id"),
    ],
)
def test_exit_codes(server, options, code, line):
    """2 for options, 4 for the connection; the steps after that are shown as skipped."""
    done = doctor(server, *options)
    assert done.returncode == code
    assert line in done.stdout
    assert done.stderr == ""
    assert "skipped pings" in done.stdout


def test_a_refused_login(pbx):
    """A token that the PBX does not know ends with 3, and is not shown."""
    done = doctor(pbx.url, token="not-the-token")
    assert done.returncode == 3
    assert "failed  login" in done.stdout


def test_where_the_token_is_from(pbx, tmp_path):
    """The file is named; that there is no token at all is an option's failure."""
    path = tmp_path / "token"
    path.write_text(SIMULATED)
    options = ("doctor", "--server", pbx.url, "--domain", "demo")
    done = run(*options, "--token-file", path)
    assert done.returncode == 0
    assert f"the token is from the file {path}" in done.stdout
    done = run(*options)
    assert done.returncode == 2
    assert "failed  options    the token comes from BASIX_TOKEN or --token-file" in done.stdout


def test_interrupted():
    """Ctrl-C in the middle of a step ends it with 130, quietly."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = start(
            *("doctor", "--server", f"ws://127.0.0.1:{silent.getsockname()[1]}", "--domain", "d"),
            env={"BASIX_TOKEN": "t0ken"},
        )
        while "tls" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")


def test_nobody_reads(pbx):
    """When whoever reads has gone, it ends quietly with 0."""
    process = start(
        *("doctor", "--server", pbx.url, "--domain", "demo"), env={"BASIX_TOKEN": SIMULATED}
    )
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
