"""Where credentials go, and where not a byte goes, by the bytes that servers receive."""

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
# 127.0.0.1, as somebody may write it who writes Japanese.
WIDE = "\uff11\uff12\uff17。0\uff0e0｡1"

REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class Recorder:
    """A server of bytes: what each connection sent it. It answers a request, and a TLS hello."""

    def __init__(self, answer):
        self.heard = []
        self._answer = answer
        self._writers = []

    async def accept(self, reader, writer):
        heard = bytearray()
        self.heard.append(heard)
        self._writers.append(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                heard += data
                if heard.endswith(b"\r\n\r\n") or heard.startswith(b"\x16"):
                    writer.write(self._answer)
                    await writer.drain()

    async def close(self):
        for writer in self._writers:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def recorder(answer=REFUSED, host="127.0.0.1", **options):
    made = Recorder(answer)
    async with await asyncio.start_server(made.accept, host, 0, **options) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made
        await made.close()


@pytest.fixture
def every_name_is_here(monkeypatch):
    """Whatever is looked up is this machine: what is let through reaches the recorder."""
    resolve = socket.getaddrinfo
    asked = []

    def look_up(host, port, *rest, **named):
        asked.append(host)
        return resolve("127.0.0.1", port, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


async def attempt(server, error, **options):
    with pytest.raises(error) as caught:
        async with connect(server, **{**ARGUMENTS, **options}):
            pass
    assert_no_secret_in_error(caught.value)
    return caught.value


async def test_to_this_machine_once():
    """To loopback plain ws is fine: one request, the credentials in it once, and in one place."""
    async with recorder() as server:
        await attempt(f"ws://127.0.0.1:{server.port}", HandshakeError)
    (heard,) = server.heard
    head, *lines = bytes(heard).decode().split("\r\n")
    assert head == "GET /basix/api/ws_cti?app_name=tests HTTP/1.1"
    assert [line.partition(":")[0] for line in lines if found_in(line)] == ["Authorization"]
    assert len(found_in(bytes(heard).decode())) == 1


async def test_to_this_machine_over_ipv6():
    """[::1] is this machine too."""
    async with recorder(host="::1") as server:
        await attempt(f"ws://[::1]:{server.port}", HandshakeError)
    assert len(server.heard) == 1


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
async def test_what_looks_like_this_machine(host, every_name_is_here):
    """A host that is not loopback by its very name gets no plain byte, nor is it looked up."""
    async with recorder() as server:
        error = await attempt(f"ws://{host}:{server.port}", UsageError)
    assert "unencrypted" in str(error)
    assert server.heard == []
    assert every_name_is_here == []


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
async def test_what_is_no_plain_address(server, every_name_is_here):
    """Userinfo, and all that two readers of URLs could take for two hosts, is a UsageError."""
    async with recorder() as heard:
        await attempt(server.format(heard.port), UsageError, allow_insecure=True)
    assert heard.heard == []
    assert every_name_is_here == []


@pytest.mark.parametrize(
    "host",
    [
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:0:0:1]",
        "127.255.255.254",
        "LocalHost",
        WIDE,
    ],
)
def test_other_ways_to_write_this_machine(host):
    """What is loopback by the address itself, however written, may be spoken to plainly."""
    connect(f"ws://{host}:1", **ARGUMENTS)


async def test_what_is_checked_is_what_is_connected_to(every_name_is_here):
    """A host in other characters is read once: the address that was checked is looked up."""
    async with recorder() as server:
        await attempt(f"ws://{WIDE}:{server.port}", HandshakeError)
        await attempt(f"ws://BÜCHER。example:{server.port}", HandshakeError, allow_insecure=True)
    assert every_name_is_here == ["xn--bcher-kva.example"]  # an address is not looked up
    assert b"\r\nHost: xn--bcher-kva.example:" in server.heard[1]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", ["ws://127.0.0.1:{}/", "//127.0.0.1:{}/", "/elsewhere", "*"])
async def test_a_redirect_leads_nowhere(status, place):
    """The credentials go once to the server that was named, and nothing to any other place."""
    async with recorder() as elsewhere:
        location = place.format(elsewhere.port)
        answer = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        async with recorder(answer.encode()) as server:
            error = await attempt(f"ws://127.0.0.1:{server.port}", HandshakeError)
    assert error.status == status
    assert elsewhere.heard == []
    (heard,) = server.heard
    assert len(found_in(bytes(heard).decode())) == 1


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_proxies_of_the_environment_hear_nothing(monkeypatch, scheme):
    """HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and their like, in small letters too, are not asked."""
    async with recorder() as proxy, recorder() as server:
        for name in ("HTTP", "HTTPS", "ALL", "WS", "WSS", "SOCKS"):
            for kind in ("http", "socks5h"):
                monkeypatch.setenv(f"{name}_PROXY", f"{kind}://127.0.0.1:{proxy.port}")
                monkeypatch.setenv(f"{name}_proxy".lower(), f"{kind}://127.0.0.1:{proxy.port}")
                monkeypatch.delenv("NO_PROXY", raising=False)
                monkeypatch.delenv("no_proxy", raising=False)
                expected = HandshakeError if scheme == "ws" else ConnectFailed
                await attempt(f"{scheme}://127.0.0.1:{server.port}", expected)
    assert proxy.heard == []
    assert len(server.heard) == 12


def client_context(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def tls_recorder(authority, name, prepare=lambda _: None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    prepare(context)
    return recorder(ssl=context)


async def test_over_tls():
    """With TLS the request comes through, and to a server of another name, or of nobody's
    trust, or of an old protocol, no byte of it.
    """
    authority, stranger = trustme.CA(), trustme.CA()
    context = client_context(authority)

    def old(context):
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1

    async with tls_recorder(authority, "localhost") as good:
        await attempt(f"wss://localhost:{good.port}", HandshakeError, ssl=context)
    assert [len(found_in(bytes(heard).decode())) for heard in good.heard] == [1]
    for ca, name, prepare, error in [
        (authority, "localhost.evil", lambda _: None, CertificateError),
        (authority, "*.localhost", lambda _: None, CertificateError),
        (stranger, "localhost", lambda _: None, CertificateError),
        (authority, "localhost", old, ConnectFailed),
    ]:
        async with tls_recorder(ca, name, prepare) as server:
            await attempt(f"wss://localhost:{server.port}", error, ssl=context)
        assert b"".join(server.heard) == b""


async def test_no_way_back_to_plain():
    """A server that answers TLS in plain words is told nothing but that TLS was wanted."""
    answer = b"HTTP/1.1 301 Plain\r\nLocation: ws://127.0.0.1/\r\n\r\n"
    async with recorder(answer) as server:
        await attempt(f"wss://127.0.0.1:{server.port}", ConnectFailed)
    (heard,) = map(bytes, server.heard)
    assert heard.startswith(b"\x16\x03")  # a ClientHello
    assert not found_in(heard.decode("latin-1"))
    assert b"ws_cti" not in heard
