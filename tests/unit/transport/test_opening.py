"""Opening of a WebSocket: addresses, proxies, TLS contexts and time limits."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import subprocess
import sys
import threading

import pytest
import trustme
from support.bare_server import ARGUMENTS, HELLO, sends, server
from support.examinations import tcp_server
from support.networks import black_hole, hanging_look_ups, resolve_to
from support.secret_scanner import TOKEN, assert_no_secret_in_error
from support.waiting import TIMEOUT

from basix_ws_cti import ConnectFailed, Msg, UsageError, connect
from basix_ws_cti.transport.address import ServerAddress
from basix_ws_cti.transport.default_trust import default_trust
from basix_ws_cti.transport.opening import WebSocketOpening
from basix_ws_cti.transport.redaction import Redactor


def named(url, name="pbx.example"):
    """Return the URL with a name in place of its address."""
    return url.replace("127.0.0.1", name)


async def error_of(server_url, error, **options):
    with pytest.raises(error) as caught:
        async with connect(server_url, **ARGUMENTS, **options):
            pass
    assert_no_secret_in_error(caught.value)
    return str(caught.value)


@contextlib.asynccontextmanager
async def forwarding_proxy(**options):
    """Run an HTTP proxy; yield its address and the list of request heads that it received."""
    heads = []

    async def pump(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    async def forward(reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return  # a connection that only finds out which address answers
        heads.append(head)
        port = int(head.split(b" ")[1].rpartition(b":")[2])
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        pumps = [
            asyncio.create_task(pump(reader, up_writer)),
            asyncio.create_task(pump(up_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in pumps:
                task.cancel()
            await asyncio.wait(pumps)
            up_writer.transport.abort()

    async with tcp_server(forward, **options) as address:
        yield address, heads


# -- addresses -------------------------------------------------------------------------------


async def test_second_address_is_used_if_the_first_drops_packets(monkeypatch):
    async with server(sends(HELLO)) as url:
        port = int(url.rpartition(":")[2])
        resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1", host="pbx.example")
        with black_hole("127.0.0.2", port):
            began = asyncio.get_running_loop().time()
            async with connect(named(url), **ARGUMENTS, allow_insecure=True) as cti:
                assert asyncio.get_running_loop().time() - began < 5
                assert await anext(cti) == Msg("hello")


async def test_error_has_the_number_of_addresses_and_their_reasons(monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        resolve_to(monkeypatch, "127.0.0.1", "127.0.0.2", host="pbx.example")
        error = await error_of(f"pbx.example:{port}", ConnectFailed)
    assert error == (
        "cannot connect: none of 2 addresses of pbx.example can be reached; "
        "127.0.0.1: Connection refused; 127.0.0.2: Connection refused"
    )


# The tests of timeouts use ws://. With wss://, the first test of a process also loads the default
# TLS context, which can take longer than the time limit.


async def test_timeout_error_has_the_number_of_addresses(monkeypatch):
    resolve_to(monkeypatch, "127.0.0.2", "127.0.0.2", host="pbx.example")
    with black_hole("127.0.0.2") as port:
        error = await error_of(
            f"ws://pbx.example:{port}", ConnectFailed, open_timeout=0.1, allow_insecure=True
        )
    assert error == "cannot connect: no answer within 0.1 s from any of 2 addresses of pbx.example"


async def test_timeout_error_names_the_name_servers(monkeypatch):
    with hanging_look_ups(monkeypatch):
        error = await error_of(
            "ws://pbx.example", ConnectFailed, open_timeout=0.05, allow_insecure=True
        )
    assert error == "cannot connect: no answer within 0.05 s from the name servers for pbx.example"


@pytest.mark.slow
@pytest.mark.parametrize("way_out", ["end of the block", "SIGTERM", "doctor"])
def test_hanging_name_server_does_not_keep_the_process_alive(way_out):
    """With a client, and with ``doctor``."""
    program = f"""
import asyncio, os, signal, socket, sys, threading, time

def hang(*args, **options):
    threading.Event().wait()

socket.getaddrinfo = hang
way_out = {way_out!r}
if way_out == "doctor":
    from basix_ws_cti.cli import main as run_cli
    began = time.monotonic()
    sys.argv = ["x", "doctor", "--server=pbx.example", "--domain=d", "--app-name=x",
                "--timeout=0.5"]
    os.environ["BASIX_TOKEN"] = "t"
    try:
        run_cli()
    except SystemExit as end:
        print(end.code)
else:
    from basix_ws_cti import Client

    async def main():
        task = asyncio.current_task()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with Client("pbx.example", app_name="x", domain="d", token="t"):
            await asyncio.sleep(0.2)
            if way_out == "SIGTERM":
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.sleep(60)

    began = time.monotonic()
    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        pass
print("took", time.monotonic() - began, flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert float(done.stdout.rpartition("took ")[2]) < 10, done.stdout


async def test_full_executor_does_not_delay_a_connection():
    end = threading.Event()
    for _ in range(40):
        asyncio.get_running_loop().run_in_executor(None, end.wait, TIMEOUT)
    try:
        async with (
            server(sends(HELLO)) as url,
            connect(named(url, "localhost"), **ARGUMENTS, open_timeout=TIMEOUT / 2) as cti,
        ):
            assert await anext(cti) == Msg("hello")
    finally:
        end.set()


@pytest.mark.parametrize("option", [{"max_size": "x"}, {"ping_interval": "x"}])
async def test_socket_is_closed_if_the_library_refuses_an_option(option):
    async with server() as url:
        with contextlib.suppress(UsageError, ConnectFailed):
            async with connect(url, **ARGUMENTS, **option):
                pass
        gc.collect()  # a socket that is still open would be reported, and fail the test


# -- proxies ---------------------------------------------------------------------------------


async def test_second_address_of_a_proxy_is_used(monkeypatch):
    async with server(sends(HELLO)) as url, forwarding_proxy() as (address, heads):
        port = int(address.rpartition(":")[2])
        resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1", host="proxy.example")
        with black_hole("127.0.0.2", port):
            proxy = f"http://user:{'p' * 9}@proxy.example:{port}"
            async with connect(url, **ARGUMENTS, proxy=proxy, allow_insecure=True) as cti:
                assert await anext(cti) == Msg("hello")
    (head,) = heads
    assert b"Proxy-Authorization: Basic dXNlcjpwcHBwcHBwcHA=\r\n" in head


async def test_https_proxy_is_verified_by_its_name(monkeypatch, tmp_path):
    """The default context is loaded off the event loop for it, too."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("proxy.example").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    for host in ("proxy.example", "other.example"):
        resolve_to(monkeypatch, "127.0.0.1", host=host)
    async with server(sends(HELLO)) as url, forwarding_proxy(ssl=context) as (address, heads):
        port = int(address.rpartition(":")[2])
        options = {**ARGUMENTS, "allow_insecure": True}
        async with connect(url, **options, proxy=f"https://proxy.example:{port}") as cti:
            assert await anext(cti) == Msg("hello")
        with pytest.raises(ConnectFailed, match="(?i)hostname"):
            async with connect(url, **options, proxy=f"https://other.example:{port}"):
                pass
    assert len(heads) == 1


@pytest.mark.parametrize("name", ["127.0.0.1", "[::1]"])
async def test_ip_address_of_a_proxy_needs_no_look_up(name, monkeypatch):
    monkeypatch.delattr(socket, "getaddrinfo")
    error = await error_of("pbx.example", ConnectFailed, proxy=f"http://{name}:1")
    assert error == "cannot connect: the proxy: Connection refused"


async def test_timeout_error_does_not_name_the_proxy(monkeypatch):
    with hanging_look_ups(monkeypatch):
        error = await error_of(
            "ws://pbx",
            ConnectFailed,
            proxy="http://u:p@pbx.example:1",
            open_timeout=0.05,
            allow_insecure=True,
        )
    assert error == "cannot connect: no answer within 0.05 s from the name servers for the proxy"


@pytest.mark.parametrize(
    "proxy",
    [
        "",
        "proxy.example",
        "proxy.example:1",
        f"gopher://u:{TOKEN}@proxy.example",
        f"http://u:{TOKEN}@proxy.example",  # its slash ends the host
        "http://",
        "http://u:canary@",
        "http://u@proxy.example",
        "http://u:canary@proxy.example:0",
        "http://u:canary@proxy.example:99999",
        "http://u:canary@proxy.example:canary",
        "http://u:canary@[::1",
        "http://u:canary@proxy.example/path",
        "http://u:canary@proxy.example?query",
        "http://u:canary@proxy.example#fragment",
    ],
)
async def test_invalid_proxy_is_refused_without_a_look_up(proxy, monkeypatch):
    """The error does not repeat it."""
    monkeypatch.delattr(socket, "getaddrinfo")
    error = await error_of("pbx.example", UsageError, proxy=proxy)
    assert error == "proxy is not a valid URL: use http://host:port"


# -- TLS contexts ----------------------------------------------------------------------------


async def test_default_context_is_loaded_in_a_thread_and_shared(monkeypatch):
    """Creating ``connect`` and opening a connection do not block the event loop."""
    threads = []
    create = ssl.create_default_context

    def load(*args, **named):
        threads.append(threading.current_thread())
        return create(*args, **named)

    monkeypatch.setattr(ssl, "create_default_context", load)
    async with server() as url:
        for _ in range(3):
            await error_of(url.replace("ws:", "wss:"), ConnectFailed)
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
    assert await default_trust.context() is await default_trust.context()


async def test_proxy_that_is_no_url_is_a_usage_error():
    options = {"proxy": "nonsense", "create_connection": None}
    opening = WebSocketOpening(ServerAddress.parse("ws://pbx.example"), "/", options)
    with pytest.raises(UsageError, match="proxy is not a valid URL"):
        await opening.run([], Redactor([]))


async def test_socket_is_closed_if_the_connection_cannot_be_created():
    def fail(*arguments, **options):
        raise LookupError

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server_address = ServerAddress.parse(f"ws://127.0.0.1:{listening.getsockname()[1]}")
        options = {"proxy": None, "create_connection": fail}
        with pytest.raises(LookupError):
            await WebSocketOpening(server_address, "/", options).run([], Redactor([]))
        peer, _ = listening.accept()
        with peer:
            peer.settimeout(TIMEOUT)
            assert peer.recv(1) == b""
