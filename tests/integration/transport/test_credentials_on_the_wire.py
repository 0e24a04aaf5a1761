"""Credentials on the wire: the bytes that servers, proxies and redirect targets receive."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import warnings

import pytest
import trustme
from support.secret_scanner import TOKEN, assert_no_secret_in_error, found_in

from basix_ws_cti import CertificateError, ConnectFailed, HandshakeError, UsageError, connect

ARGUMENTS = {"domain": "acme", "token": TOKEN, "app_name": "tests", "open_timeout": 5}
# 127.0.0.1 in fullwidth characters, as a Japanese keyboard writes it.
FULLWIDTH_LOOPBACK = "\uff11\uff12\uff17。0\uff0e0｡1"

REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class Recorder:
    """Server that records the bytes of each connection and answers a request or a ClientHello."""

    def __init__(self, answer):
        self.received = []
        self._answer = answer
        self._writers = []

    async def accept(self, reader, writer):
        received = bytearray()
        self.received.append(received)
        self._writers.append(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                received += data
                if received.endswith(b"\r\n\r\n") or received.startswith(b"\x16"):
                    writer.write(self._answer)
                    await writer.drain()

    async def close(self):
        for writer in self._writers:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def recorder(answer=REFUSED, host="127.0.0.1", **options):
    server_recorder = Recorder(answer)
    async with await asyncio.start_server(server_recorder.accept, host, 0, **options) as server:
        server_recorder.port = server.sockets[0].getsockname()[1]
        yield server_recorder
        await server_recorder.close()


@pytest.fixture
def looked_up_hosts(monkeypatch):
    """Resolve every host to this machine, and return the list of hosts that were looked up."""
    resolve = socket.getaddrinfo
    hosts = []

    def look_up(host, port, *rest, **named):
        hosts.append(host)
        return resolve("127.0.0.1", port, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return hosts


async def attempt(server, error, **options):
    with pytest.raises(error) as caught:
        async with connect(server, **{**ARGUMENTS, **options}):
            pass
    assert_no_secret_in_error(caught.value)
    return caught.value


async def test_credentials_are_sent_once_to_loopback():
    """One unencrypted request contains the credentials in one header."""
    async with recorder() as server:
        await attempt(f"ws://127.0.0.1:{server.port}", HandshakeError)
    (received,) = server.received
    head, *lines = bytes(received).decode().split("\r\n")
    assert head == "GET /basix/api/ws_cti?app_name=tests HTTP/1.1"
    assert [line.partition(":")[0] for line in lines if found_in(line)] == ["Authorization"]
    assert len(found_in(bytes(received).decode())) == 1


async def test_ipv6_loopback_gets_a_request():
    async with recorder(host="::1") as server:
        await attempt(f"ws://[::1]:{server.port}", HandshakeError)
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "localhost.evil",
        "localhost.",
        "127.0.0.1.evil.example",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.0.0.01",
        "0.0.0.0",
        "0",
        "[::]",
        "[::1%25.evil.example]",
        "[::1%lo]",
        "[::ffff:0:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "localhost。evil",
        "127。0。0。1。evil",
        "xn--localhost",
        "ip6-localhost",
        "loopback",
    ],
)
async def test_hosts_similar_to_loopback_get_no_byte(host, looked_up_hosts):
    """They are not looked up either."""
    async with recorder() as server:
        error = await attempt(f"ws://{host}:{server.port}", UsageError)
    assert "unencrypted" in str(error)
    assert server.received == []
    assert looked_up_hosts == []


@pytest.mark.parametrize(
    "server",
    [
        f"wss://acme:{TOKEN}@127.0.0.1:{{}}",
        f"ws://acme:{TOKEN}@127.0.0.1:{{}}",
        f"{TOKEN}@127.0.0.1:{{}}",
        "ws://127.0.0.1:{}@evil.example",
        "ws://evil.example\\@127.0.0.1:{}",
        "ws://evil.example#@127.0.0.1:{}",
        "ws://evil.example?@127.0.0.1:{}",
        "ws://127.0.0.1:{}\\.evil.example",
        "ws://127.0.0.1\\.evil.example:{}",
        "ws://127.0.0.1%2eevil.example:{}",
        "ws://127.0.0.1%00.evil.example:{}",
        "ws://evil.example\uff0f@127.0.0.1:{}",
        "wss://evil.example\\:{}",
        "wss://evil.example%2f:{}",
        "ws://127.0.0.1:{}/../../evil",
        "http://127.0.0.1:{}",
        "ws:127.0.0.1:{}",
        "ws:///127.0.0.1:{}",
        " ws://127.0.0.1:{}",
        "ws://127.0.0.1:{}\t",
        "ws://127.0.\n0.1:{}",
    ],
)
async def test_ambiguous_addresses_get_no_byte(server, looked_up_hosts):
    """A URL with userinfo, or one that two parsers could read as two hosts, is refused."""
    async with recorder() as received:
        await attempt(server.format(received.port), UsageError, allow_insecure=True)
    assert received.received == []
    assert looked_up_hosts == []


@pytest.mark.parametrize(
    "host",
    [
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:0:0:1]",
        "127.255.255.254",
        "LocalHost",
        FULLWIDTH_LOOPBACK,
    ],
)
def test_other_notations_of_loopback_are_accepted(host):
    connect(f"ws://{host}:1", **ARGUMENTS)


async def test_checked_address_is_the_one_that_is_connected(looked_up_hosts):
    """A host in other characters is normalised once."""
    async with recorder() as server:
        await attempt(f"ws://{FULLWIDTH_LOOPBACK}:{server.port}", HandshakeError)
        await attempt(f"ws://BÜCHER。example:{server.port}", HandshakeError, allow_insecure=True)
    assert looked_up_hosts == ["xn--bcher-kva.example"]  # an address is not looked up
    assert b"\r\nHost: xn--bcher-kva.example:" in server.received[1]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", ["ws://127.0.0.1:{}/", "//127.0.0.1:{}/", "/elsewhere", "*"])
async def test_redirect_target_gets_no_byte(status, place):
    """The credentials go once to the specified server."""
    async with recorder() as other_server:
        location = place.format(other_server.port)
        answer = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        async with recorder(answer.encode()) as server:
            error = await attempt(f"ws://127.0.0.1:{server.port}", HandshakeError)
    assert error.status == status
    assert other_server.received == []
    (received,) = server.received
    assert len(found_in(bytes(received).decode())) == 1


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_proxies_from_the_environment_get_no_byte(monkeypatch, scheme):
    """HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and similar variables are ignored, also in lower case."""
    async with recorder() as proxy, recorder() as server:
        for name in ("HTTP", "HTTPS", "ALL", "WS", "WSS", "SOCKS"):
            for kind in ("http", "socks5h"):
                monkeypatch.setenv(f"{name}_PROXY", f"{kind}://127.0.0.1:{proxy.port}")
                monkeypatch.setenv(f"{name}_proxy".lower(), f"{kind}://127.0.0.1:{proxy.port}")
                monkeypatch.delenv("NO_PROXY", raising=False)
                monkeypatch.delenv("no_proxy", raising=False)
                expected = HandshakeError if scheme == "ws" else ConnectFailed
                await attempt(f"{scheme}://127.0.0.1:{server.port}", expected)
    assert proxy.received == []
    assert len(server.received) == 12


def client_context(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def tls_recorder(authority, name, prepare=lambda _: None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    prepare(context)
    return recorder(ssl=context)


async def test_only_verified_tls_servers_get_the_request():
    """Only a server with a trusted certificate, its own name and a new protocol gets bytes."""
    authority, unknown_authority = trustme.CA(), trustme.CA()
    context = client_context(authority)

    def use_old_protocol(context):
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1

    async with tls_recorder(authority, "localhost") as verified:
        await attempt(f"wss://localhost:{verified.port}", HandshakeError, ssl=context)
    assert [len(found_in(bytes(received).decode())) for received in verified.received] == [1]
    for ca, name, prepare, error in [
        (authority, "localhost.evil", lambda _: None, CertificateError),
        (authority, "*.localhost", lambda _: None, CertificateError),
        (unknown_authority, "localhost", lambda _: None, CertificateError),
        (authority, "localhost", use_old_protocol, ConnectFailed),
    ]:
        async with tls_recorder(ca, name, prepare) as server:
            await attempt(f"wss://localhost:{server.port}", error, ssl=context)
        assert b"".join(server.received) == b""


async def test_unencrypted_answer_to_tls_gets_no_credentials():
    """The server receives a ClientHello only."""
    answer = b"HTTP/1.1 301 Plain\r\nLocation: ws://127.0.0.1/\r\n\r\n"
    async with recorder(answer) as server:
        await attempt(f"wss://127.0.0.1:{server.port}", ConnectFailed)
    (received,) = map(bytes, server.received)
    assert received.startswith(b"\x16\x03")  # a ClientHello
    assert not found_in(received.decode("latin-1"))
    assert b"ws_cti" not in received
