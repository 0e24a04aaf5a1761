"""Whatever a server or proxy sends instead of a WebSocket, ``connect`` raises one clear error."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest
from support.examinations import tcp_server
from support.http_responses import random_response
from support.secret_scanner import TOKEN, assert_no_secret_in_error
from support.sizes import NIGHTLY

from basix_ws_cti import (
    AuthenticationError,
    BasixError,
    Client,
    ConnectFailed,
    ConnectionLost,
    FeedError,
    HandshakeError,
    HttpApi,
    HttpApiError,
    ProxyError,
    connect,
)
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.session.status import Stopped

ARGUMENTS = {"domain": "acme", "token": TOKEN, "app_name": "tests"}


@contextlib.asynccontextmanager
async def server_of(responses):
    """Run a server that sends the next response to each connection; yield ``host:port``.

    ``SECRET`` in a response becomes the Authorization header that it received.
    """

    async def respond(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            secret = next((line for line in lines if line.startswith(b"Authorization")), b"?")
            writer.write(next(responses).replace(b"SECRET", secret.partition(b": ")[2]))
            await writer.drain()
            writer.write_eof()
            await reader.read()

    async with tcp_server(respond) as address:
        yield address


async def error_of(*arguments, **options):
    try:
        async with connect(*arguments, **ARGUMENTS, **options) as cti:
            async for _ in cti:
                pass
    except BasixError as error:
        return error
    return None


async def check_responses(rng, count):
    """Check the error of ``connect`` for random responses of a server."""
    responses = [random_response(rng) for _ in range(count)]
    async with server_of(iter(responses)) as address:
        for response in responses:
            error = await error_of(f"ws://{address}")
            assert error is None or isinstance(error, FeedError), (error, response)
            if error is not None:
                assert_no_secret_in_error(error)


async def test_random_responses_raise_an_error_of_the_feed():
    await check_responses(random.Random(3), 30)


@pytest.mark.slow
async def test_many_random_responses_raise_an_error_of_the_feed():
    await check_responses(
        random.Random() if NIGHTLY else random.Random(4), 30_000 if NIGHTLY else 1000
    )


@pytest.mark.slow
async def test_random_responses_of_a_proxy_raise_an_error_of_the_feed():
    rng = random.Random(5)
    responses = [random_response(rng) for _ in range(300)]
    async with server_of(iter(responses)) as address:
        for response in responses:
            error = await error_of("pbx.example", proxy=f"http://u:{'p' * 9}@{address}")
            assert isinstance(error, FeedError), (error, response)
            assert_no_secret_in_error(error)


@pytest.mark.slow
async def test_random_responses_of_the_http_api_raise_one_of_its_errors():
    rng = random.Random(6)
    responses = [random_response(rng) for _ in range(300)]
    async with (
        server_of(iter(responses)) as address,
        HttpApi(f"http://{address}", domain="acme", token=TOKEN) as api,
    ):
        for _ in responses:
            with pytest.raises((HttpApiError, ConnectionLost)) as caught:
                await api.ticket("/x")
            assert_no_secret_in_error(caught.value)


def head(status, *headers, body=b""):
    lines = [b"HTTP/1.1 %d x" % status, *headers, b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, b"", body])


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        *((status, HandshakeError) for status in (100, 102, 103)),
        *((status, HandshakeError) for status in (200, 204, 299, 300, 302, 307, 399)),
        *((status, HandshakeError) for status in (400, 404, 407, 426, 429, 499, 500, 503, 599)),
        *((status, AuthenticationError) for status in (401, 403)),
    ],
)
async def test_each_status_of_a_server_has_its_error(status, cls):
    """The error has status, reason and Retry-After."""
    body = b"" if status in {100, 102, 103, 204} else b"why"
    response = head(status, b"Retry-After: 5", body=body)
    async with server_of(iter([response])) as address:
        error = await error_of(f"ws://{address}")
    assert type(error) is cls
    assert (error.status, error.reason, error.retry_after) == (status, body.decode() or None, "5")


@pytest.mark.parametrize(
    "response",
    [
        head(101),
        head(101, b"Upgrade: websocket", b"Connection: Upgrade"),
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 401 Unauthorized\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nRetry-After: 5\r\nX",
        b"HTTP/1.1 600 x\r\n\r\n",
        b"HTTP/1.1 \xb2\xb2\xb2 x\r\n\r\n",
        b"220 mail ready\r\n\r\n",
    ],
)
@pytest.mark.parametrize("by_proxy", [False, True])
async def test_response_that_is_not_valid_raises_connect_failed(response, by_proxy):
    async with server_of(iter([response])) as address:
        if by_proxy:
            error = await error_of("pbx.example", proxy=f"http://{address}")
        else:
            error = await error_of(f"ws://{address}")
    assert type(error) is (ProxyError if by_proxy and b" 101" in response else ConnectFailed)
    assert_no_secret_in_error(error)


@pytest.mark.parametrize("status", [100, 300, 302, 400, 401, 403, 407, 429, 500, 502, 503])
async def test_each_status_of_a_proxy_has_its_error(status):
    """A refusal by the proxy is no refused login at the PBX."""
    async with server_of(iter([head(status, b"Retry-After: 5")])) as address:
        error = await error_of("pbx.example", proxy=f"http://{address}")
    assert type(error) is ProxyError
    assert (error.status, error.retry_after) == (status, "5")
    assert_no_secret_in_error(error)


async def test_repeated_retry_after_is_joined_and_the_login_stays_refused():
    """A client stops with the refusal, and its delay after another failure is the longest."""
    doubled = (b"Retry-After: 1", b"Retry-After: 2")
    async with server_of(iter([head(401, *doubled), head(401, *doubled)])) as address:
        error = await error_of(f"ws://{address}")
        assert (type(error), error.retry_after) == (AuthenticationError, "1, 2")
        assert_no_secret_in_error(error)
        async with Client(f"ws://{address}", **ARGUMENTS) as client:
            with pytest.raises(AuthenticationError):
                await client.synced(30)
            assert isinstance(client.state, Stopped)


@pytest.mark.parametrize(
    "header",
    [
        b"Mon, 01 Jan 2020 00:00:00 +99999999999999999999",
        b"Mon, 01 Jan 2020 00:00:00 +9999",
        b"Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        b"9" * 5000,
        b"1\r\nRetry-After: 2",
    ],
)
async def test_unusable_retry_after_does_not_stop_a_client(header):
    response = head(503, b"Retry-After: " + header)
    states = []
    async with (
        server_of(iter([response])) as address,
        Client(f"ws://{address}", **ARGUMENTS, backoff=Backoff(5, 5)) as client,
    ):
        client.on_state(states.append)
        async with asyncio.timeout(30):
            while not any(hasattr(state, "retry_in") for state in states):
                await asyncio.sleep(0.005)
    (state,) = (state for state in states if hasattr(state, "retry_in"))
    assert (type(state.reason), state.reason.status) == (HandshakeError, 503)
    assert state.retry_in > 0
