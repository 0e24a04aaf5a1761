"""Reconnect policy: delays, final errors and immediate resyncs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections import Counter
from datetime import UTC, datetime

import pytest
from support.client_schedules import (
    connected,
    entered,
    is_current,
    new_client,
    ping_options,
    stop_reason,
)
from support.fake_pbx import FakePbx, unreachable_until
from support.paths import DOCS
from support.virtual_clock import now, on_virtual_clock, run
from support.waiting import TIMEOUT, eventually
from websockets.asyncio.server import serve

from basix_ws_cti import (
    AuthenticationError,
    Basic,
    CertificateError,
    ConnectFailed,
    ConnectionLimitReached,
    ConnectionLost,
    ConnectionReplaced,
    DecodeError,
    HandshakeError,
    HttpApiAuthenticationError,
    HttpApiError,
    ProtocolError,
    UsageError,
)
from basix_ws_cti.client.backoff import LIMIT_RETRIES, Backoff
from basix_ws_cti.client.client import Client
from basix_ws_cti.client.reconnect import STEADY_TIME, ReconnectPolicy
from basix_ws_cti.exceptions import (
    LoggedOut,
    NotConnectedError,
    ResyncRequired,
    SyncTimeout,
)
from basix_ws_cti.mirror.changes import Gap
from basix_ws_cti.session.resync import RESYNC_INTERVAL
from basix_ws_cti.session.status import Disconnected, Stopped, Synced
from basix_ws_cti.simulator import Simulator, faults


def test_server_that_accepts_and_closes_sees_few_attempts():
    """A server that closes each connection sees at most 8 attempts in 60 s, for any random seed."""

    async def main(seed):
        pbx = FakePbx({"frames": 0, "ending": StopAsyncIteration()})
        async with Client("fake", connector=pbx, backoff=Backoff(rng=random.Random(seed))):
            await asyncio.sleep(60)
        return len(pbx.attempts)

    counts = [run(main(seed)) for seed in range(50)]
    assert min(counts) >= 4
    assert max(counts) <= 8


@pytest.mark.parametrize("synced_for", [0.0, 5.0, 29.0])
@on_virtual_clock
async def test_short_syncs_do_not_shorten_the_delays(synced_for):
    """A state that is current for less than 30 s does not restart the series of delays."""
    pbx = FakePbx()
    delays = []
    async with Client("fake", connector=pbx) as client:
        for _ in range(9):
            await client.synced(100)
            await asyncio.sleep(synced_for)
            pbx.lose()
            delays.append((await entered(client, Disconnected, retry=True)).retry_in)
    for number, delay in enumerate(delays):
        ceiling = min(60, 2**number)
        assert ceiling / 2 <= delay <= ceiling


@on_virtual_clock
async def test_sync_of_thirty_seconds_restarts_the_delays():
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        pbx.plan.extend([ConnectFailed("x")] * 6)
        await client.synced(1000)
        await asyncio.sleep(30.1)
        pbx.lose()
        assert (await entered(client, Disconnected, retry=True)).retry_in <= 1


@pytest.mark.slow
@on_virtual_clock
async def test_thousand_clients_spread_their_attempts():
    """After an outage of two minutes, no second has more than a fifth of the attempts."""
    pbxs = {str(seed): FakePbx() for seed in range(1000)}

    def connect(server, **options):
        return pbxs[server](server, **options)

    async with contextlib.AsyncExitStack() as stack:
        for seed in pbxs:
            client = Client(seed, connector=connect, backoff=Backoff(rng=random.Random(seed)))
            await stack.enter_async_context(client)
        await asyncio.sleep(40)
        for pbx in pbxs.values():
            pbx.attempts.clear()
            pbx.default = unreachable_until(160)
            pbx.lose()
        await asyncio.sleep(200)
    assert all(pbx.attempts[-1] > 160 for pbx in pbxs.values())
    attempts = [attempt for pbx in pbxs.values() for attempt in pbx.attempts]
    for group in (attempts, [attempt for attempt in attempts if attempt >= 160]):
        assert len(group) >= 1000
        for shift in (0, 0.25, 0.5, 0.75):
            busiest = max(Counter(int(attempt + shift) for attempt in group).values())
            print(len(group), busiest / len(group))  # noqa: T201 - the figure, with -s
            assert busiest <= len(group) / 5


@on_virtual_clock
async def test_unreadable_frame_resyncs_at_once_and_then_once_per_interval():
    """The first unreadable frame leads to a new snapshot without delay, later ones have to wait."""
    pbx = FakePbx()
    errors = []
    async with Client("fake", connector=pbx) as client:
        client.on_error(errors.append)
        await client.synced()
        pbx.send(DecodeError(3, "x"))
        state = await entered(client, Disconnected, retry=True)
        assert (type(state.reason), state.retry_in) == (ResyncRequired, 0)
        await client.synced(1)
        pbx.send(DecodeError(3, "x"))
        await asyncio.sleep(1)
        assert client.is_synced
        assert client.resync_pending
        await entered(client, Disconnected, retry=True)
        await client.synced(1)
        assert not client.resync_pending
        _, second, third = pbx.attempts
        assert second < 1
        assert third - second == pytest.approx(RESYNC_INTERVAL, abs=0.5)
        assert client.stats.bad_frames == 2
    assert [type(one) for one in errors].count(DecodeError) == 1


@on_virtual_clock
@pytest.mark.parametrize("error", [DecodeError(3, "x"), ProtocolError("x", "user", "info_event")])
async def test_unreadable_frame_every_four_seconds_costs_little_of_the_feed(error):
    """The client is synced for 95 % of the time, though each reconnect takes half a second."""
    pbx = FakePbx()
    pbx.close_time = 0.4
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        synced = 0
        for tenth in range(3000):
            if tenth % 40 == 0:
                pbx.send(error)
            await asyncio.sleep(0.1)
            synced += client.is_synced
        print(synced / 3000)  # noqa: T201 - the figure, with -s
        assert synced >= 0.95 * 3000
        assert 300 / RESYNC_INTERVAL - 1 <= client.stats.reconnects <= 300 / RESYNC_INTERVAL + 1


@on_virtual_clock
async def test_resyncs_are_no_failed_connections():
    """The delay after a failure does not grow with the resyncs before it."""
    pbx = FakePbx()
    async with Client("fake", connector=pbx, backoff=Backoff(rng=LongestDelay())) as client:
        for _ in range(5):
            await client.synced(1)
            pbx.send(DecodeError(3, "x"))
            await asyncio.sleep(RESYNC_INTERVAL)
        await client.synced(1)
        pbx.lose()
        assert (await entered(client, Disconnected, retry=True)).retry_in == 1


@on_virtual_clock
async def test_retry_after_beyond_the_longest_delay_is_honoured():
    pbx = FakePbx()
    pbx.plan.append(HandshakeError(503, None, "90"))
    async with Client("fake", connector=pbx) as client:
        await client.synced(200)
    assert pbx.attempts[1] >= 90


@on_virtual_clock
async def test_connection_limit_after_a_sync_waits_the_longest_delay():
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        pbx.plan.append({"frames": 0, "ending": ConnectionLimitReached()})
        pbx.lose()
        await entered(client, Disconnected)
        await client.synced(200)
        assert 60 <= pbx.attempts[2] - pbx.attempts[1] <= 63  # plus the random part


TRANSIENT_STATUSES = [408, 429, 500, 502, 503]


@pytest.mark.parametrize("status", TRANSIENT_STATUSES)
async def test_transient_status_is_retried(status):
    """408, 429 and 5xx are retried; each failed attempt is reported to on_error."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Refuse(status, times=2))
        client, errors = new_client(pbx), []
        client.on_error(errors.append)
        async with client:
            await client.synced(TIMEOUT)
        assert [(type(error), error.status) for error in errors] == [(HandshakeError, status)] * 2


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_the_minimum_of_the_next_delay(status):
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Refuse(status, retry_after=77))
        async with new_client(pbx) as client:
            state = await asyncio.wait_for(entered(client, Disconnected), TIMEOUT)
            assert 77 < state.retry_in <= 77.1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 301, 302])
async def test_final_status_stops_the_client(status):
    """401, 403, 404 and redirects stop the client with their error after one attempt."""
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.Refuse(status, location="http://127.0.0.1/", times=9))
        async with new_client(pbx) as client:
            changes, messages = client.changes(), client.messages()
            with pytest.raises(HandshakeError) as caught:
                await client.synced(TIMEOUT)
            assert caught.value.status == status
            assert isinstance(caught.value, AuthenticationError) is (status in {401, 403})
            assert client.state == Stopped(caught.value)
            for waiting in (changes, messages, client.changes()):
                with pytest.raises(HandshakeError):
                    await anext(waiting)
            with pytest.raises(HandshakeError):
                await client.wait_for(lambda _: True)
            with pytest.raises(NotConnectedError):
                await client.hangup("x")
        assert client.state == Stopped(caught.value)
        assert [times for _, times in pbx.armed_faults] == [8]


async def test_untrusted_certificate_stops_the_client():
    async with Simulator(calls=False, tls=True) as pbx:
        async with new_client(pbx, ssl=None) as client:
            assert isinstance(await stop_reason(client), CertificateError)
        async with connected(pbx) as client:
            assert client.is_synced


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("logout", LoggedOut),
        ("connection_replaced", ConnectionReplaced),
    ],
)
@pytest.mark.parametrize("when", ["syncing", "synced"])
async def test_logout_and_replacement_stop_the_client(text, error, when):
    """logout and connection_replaced are delivered as messages, then the client stops."""
    async with Simulator(calls=False) as pbx:
        messages = []
        async with new_client(pbx, quiet_time=0 if when == "synced" else 60) as client:
            client.on_system_msg(messages.append)
            await eventually(lambda: type(client.state).__name__.lower() == when)
            pbx.system_msg(text)
            if text == "connection_replaced":
                pbx.inject(faults.Drop(), after=0.1)
            assert isinstance(await stop_reason(client), error)
        assert messages == [text]
        assert client.stats.connects == 1


async def test_lasting_connection_limit_stops_a_client_that_was_never_synced():
    """The first attempt and five retries meet the limit."""
    async with Simulator(calls=False, max_connections=1) as pbx, connected(pbx) as first:
        async with new_client(pbx, backoff=Backoff(0.01, 0.01)) as second:
            assert isinstance(await stop_reason(second), ConnectionLimitReached)
        assert second.stats.connects == 1 + LIMIT_RETRIES
        assert first.is_synced


@on_virtual_clock
async def test_connection_limit_on_the_first_connect_is_retried_for_minutes():
    """After a crash, the PBX counts the lost connections of the previous process."""
    pbx = FakePbx()
    pbx.default = lambda: {"frames": 0, "ending": ConnectionLimitReached()} if now() < 240 else None
    async with Client("fake", connector=pbx) as client:
        await client.synced(600)
        assert 240 <= now() < 360


async def test_connection_limit_after_a_sync_is_retried():
    """A client retries while the PBX still counts its own dead connection."""
    async with Simulator(calls=False, max_connections=1) as pbx:
        pbx.inject(faults.Linger(60))
        errors = []
        async with connected(pbx) as client:
            client.on_error(errors.append)
            pbx.inject(faults.Drop())
            await eventually(lambda: len(errors) > 1)
            pbx.inject(faults.Linger(0))
            await eventually(lambda: client.stats.gaps)
        assert [type(error) for error in errors[:2]] == [ConnectionLost, ConnectionLimitReached]


async def end_connection(pbx, ending):
    if ending == "close":
        (feed,) = pbx.connections
        await feed.client.close()
    elif ending == "restart":
        pbx.inject(faults.Restart(down_for=0.1))
    else:
        pbx.inject(ending)


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (faults.Drop(), ConnectionLost),
        (faults.Reset(), ConnectionLost),
        (faults.HalfClose(), ConnectionLost),
        pytest.param(faults.Silence(), ConnectionLost, marks=pytest.mark.slow),
        ("close", ConnectionLost),
        ("restart", ConnectionLost),
        (faults.SendFrame(), ResyncRequired),
    ],
    ids=str,
)
async def test_connection_loss_is_followed_by_a_gap(ending, reason):
    """However a connection ends, the client reconnects and reports a Gap with the reason."""
    async with (
        Simulator(calls=False) as pbx,
        connected(pbx, **ping_options(ending)) as client,
    ):
        changes = client.changes()
        await end_connection(pbx, ending)
        gap = await asyncio.wait_for(anext(changes), TIMEOUT)
        assert isinstance(gap, Gap)
        assert isinstance(gap.reason, reason)
        if ending == "close":
            assert gap.reason.code == 1000
        assert is_current(client, pbx)
        assert changes.waiting == 0
        assert client.stats.gaps == 1


@pytest.mark.parametrize("fault", [faults.SendFrame("text"), faults.UnspecifiedKind()], ids=str)
async def test_unusable_frame_that_changes_nothing_is_skipped(fault):
    """A text frame and an event of a kind without a field_spec are reported, and no more."""
    async with Simulator(calls=False) as pbx, connected(pbx) as client:
        errors = []
        client.on_error(errors.append)
        pbx.inject(fault)
        pbx.call(to="1001")
        await eventually(lambda: len(client.mirror.channels) > 0)
        assert [type(error) for error in errors] == [ProtocolError]
        assert client.is_synced
        assert not client.resync_pending
        assert (client.stats.connects, client.stats.bad_frames) == (1, 1)


async def test_refused_connection_and_unknown_host_are_retried():
    async with Simulator() as pbx:
        arguments = pbx.connect_args
    for server in (arguments["server"], "wss://no.such.host.invalid"):
        async with Client(**{**arguments, "server": server}, backoff=Backoff(0.01, 0.02)) as client:
            errors = []
            client.on_error(errors.append)
            await eventually(lambda errors=errors: len(errors) >= 3)
        assert {type(error) for error in errors} == {ConnectFailed}


async def test_handshake_without_an_answer_is_retried():
    async with Simulator(calls=False) as pbx:
        pbx.inject(faults.DelayHandshake(30))
        client, errors = new_client(pbx, open_timeout=0.1), []
        client.on_error(errors.append)
        async with client:
            await client.synced(TIMEOUT)
        # On a busy machine an attempt or two more may have no answer in time.
        assert {str(error) for error in errors} == {"cannot connect: no answer within 0.1 s"}


async def test_failed_tls_is_retried():
    """A TLS failure other than an untrusted certificate is retried."""
    async with Simulator(calls=False) as pbx:
        client, errors = new_client(pbx, server=pbx.url.replace("ws://", "wss://")), []
        client.on_error(errors.append)
        async with client:
            await eventually(lambda: len(errors) >= 3)
        assert {type(error) for error in errors} == {ConnectFailed}
        assert all(error.reason for error in errors)


async def test_silent_pbx_is_a_sync_timeout_and_retried():
    async def mute(websocket):
        await websocket.wait_closed()

    async with serve(mute, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        client, errors = (
            Client(
                f"ws://127.0.0.1:{port}",
                app_name="x",
                sync_timeout=0.05,
                backoff=Backoff(0.01, 0.02),
            ),
            [],
        )
        client.on_error(errors.append)
        async with client:
            await eventually(lambda: len(errors) >= 3)
        assert {type(error) for error in errors} == {SyncTimeout}
        assert not client.is_synced


@pytest.mark.parametrize(
    "error",
    [
        *(HandshakeError(status) for status in (100, 200, 204, 302, 400, 404, 407)),
        AuthenticationError(403),
        CertificateError("expired"),
    ],
    ids=repr,
)
@on_virtual_clock
async def test_refusals_after_a_sync_are_retried_with_the_longest_delay(error):
    """A captive portal, a restarting proxy or a wrong clock stops no client that has worked."""
    pbx = FakePbx()
    async with Client("fake", connector=pbx) as client:
        await client.synced()
        pbx.plan.extend([error] * 5)
        pbx.lose()
        state = await entered(client, Disconnected)
        while state.reason is not error:
            await asyncio.sleep(0.5)
            state = await entered(client, Disconnected, retry=True)
        assert state.retry_in >= 60
        await client.synced(1000)
        assert len(pbx.attempts) == 7


@pytest.mark.parametrize("status", [100, 103, 200, 204])
@on_virtual_clock
async def test_success_without_a_websocket_stops_a_client_that_was_never_synced(status):
    pbx = FakePbx(HandshakeError(status))
    async with Client("fake", connector=pbx) as client:
        state = await entered(client, Stopped)
        assert state.reason.status == status
        assert len(pbx.attempts) == 1


async def test_credentials_function_that_hangs_is_reported_and_retried():
    async with Simulator(calls=False) as pbx:
        arguments = pbx.connect_args
        domain, token = arguments.pop("domain"), arguments.pop("token")
        errors = []

        async def credentials(_):
            if len(errors) < 2:
                await asyncio.Event().wait()
            return Basic(domain, token)

        async with Client(
            **arguments, credentials=credentials, backoff=Backoff(0.01, 0.02), open_timeout=0.1
        ) as client:
            client.on_error(errors.append)
            await client.synced(TIMEOUT)
        text = "cannot connect: the credentials function did not return within 0.1 s"
        assert text in {str(error) for error in errors}


async def test_invalid_credentials_stop_the_client():
    """A credentials function that returns something else than credentials stops the client."""
    async with Simulator(calls=False) as pbx:
        arguments = pbx.connect_args
        del arguments["domain"], arguments["token"]

        async def credentials(_):
            return "secret"

        async with Client(**arguments, credentials=credentials) as client:
            assert isinstance(await stop_reason(client), UsageError)


@pytest.mark.parametrize("refusals", [2, 3])
async def test_three_refusals_of_fresh_credentials_are_final(refusals):
    """Each attempt gets new credentials; the third refusal in a row stops the client."""
    async with Simulator(calls=False) as pbx:
        arguments = pbx.connect_args
        domain, token = arguments.pop("domain"), arguments.pop("token")
        calls = []

        async def credentials(target):
            calls.append(target)
            return Basic(domain, token)

        pbx.inject(faults.Refuse(401, times=refusals))
        async with Client(
            **arguments, credentials=credentials, backoff=Backoff(0.01, 0.02)
        ) as client:
            if refusals == 3:
                assert isinstance(await stop_reason(client), AuthenticationError)
            else:
                await client.synced(TIMEOUT)
        assert len(calls) == 3


async def test_other_failure_interrupts_the_series_of_refusals():
    """Two refusals, another failure and two more refusals do not stop the client."""
    async with Simulator(calls=False) as pbx:
        arguments = pbx.connect_args
        domain, token = arguments.pop("domain"), arguments.pop("token")

        async def credentials(_):
            return Basic(domain, token)

        for status in (401, 401, 503, 401, 401):
            pbx.inject(faults.Refuse(status))
        async with Client(
            **arguments, credentials=credentials, backoff=Backoff(0.01, 0.02)
        ) as client:
            await client.synced(TIMEOUT)


async def test_error_of_the_credentials_function_is_retried():
    """An exception of the credentials function is reported unchanged, and the client retries."""
    async with Simulator(calls=False) as pbx:
        arguments = pbx.connect_args
        domain, token = arguments.pop("domain"), arguments.pop("token")
        failures = [OSError("the token service"), LookupError("x")]
        errors = []

        async def credentials(_):
            if len(errors) < len(failures):
                raise failures[len(errors)]
            return Basic(domain, token)

        async with Client(
            **arguments, credentials=credentials, backoff=Backoff(0.01, 0.02)
        ) as client:
            client.on_error(errors.append)
            await client.synced(TIMEOUT)
        assert errors == failures


def failing_after(successes, error, domain, token):
    """Return a credentials function that raises ``error`` once, after some successes."""
    calls = itertools.count()

    async def credentials(_):
        if next(calls) == successes:
            raise error
        return Basic(domain, token)

    return credentials


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "is_final_after_a_sync"),
    [
        (HttpApiAuthenticationError(401), True),
        (HttpApiAuthenticationError(200, 1, "authentication_required"), True),
        (HttpApiAuthenticationError(403), False),
        (HttpApiError(302), False),
        (HttpApiError(404), False),
    ],
)
async def test_refusal_of_a_ticket_stops_a_client(error, is_final_after_a_sync):
    async with Simulator(calls=False) as pbx:
        arguments = pbx.connect_args
        domain, token = arguments.pop("domain"), arguments.pop("token")
        arguments["backoff"] = Backoff(0.01, 0.02)
        refused_first = failing_after(0, error, domain, token)
        async with Client(**arguments, credentials=refused_first) as client:
            assert await stop_reason(client) is error
        refused_later = failing_after(1, error, domain, token)
        async with Client(**arguments, credentials=refused_later) as client:
            await client.synced(TIMEOUT)
            pbx.inject(faults.Drop())
            if is_final_after_a_sync:
                assert await stop_reason(client) is error
            else:
                await eventually(lambda: client.stats.connects == 2 and client.is_synced)


@pytest.mark.parametrize("status", [408, 429])
async def test_busy_http_api_is_retried(status):
    async with Simulator(calls=False) as pbx:
        arguments = pbx.connect_args
        domain, token = arguments.pop("domain"), arguments.pop("token")
        refused = failing_after(0, HttpApiError(status), domain, token)
        async with Client(**arguments, credentials=refused, backoff=Backoff(0.01, 0.02)) as client:
            await client.synced(TIMEOUT)


# Failures as the documentation names them, and the tests that cover them. More tests of silence,
# slow links and unexpected exceptions are in test_client_liveness.py and test_feed_loop.py.
TABLE = {
    "DNS, TCP, TLS, time-out, refusal by a proxy (`ConnectFailed`, `ProxyError`)": (
        test_refused_connection_and_unknown_host_are_retried,
        test_failed_tls_is_retried,
        test_handshake_without_an_answer_is_retried,
    ),
    "the connection broke or was closed (`ConnectionLost`)": (
        test_connection_loss_is_followed_by_a_gap,
    ),
    "silence: no byte for 4 s, and none within 5 s after a ping": (
        test_connection_loss_is_followed_by_a_gap,
    ),
    "a frame that arrives at less than 1,000 bytes per second, after a minute": (
        test_connection_loss_is_followed_by_a_gap,
    ),
    "no progress with the snapshot for 60 s (`SyncTimeout`)": (
        test_silent_pbx_is_a_sync_timeout_and_retried,
    ),
    "HTTP 408, 429, 5xx": (
        test_transient_status_is_retried,
        test_retry_after_is_the_minimum_of_the_next_delay,
    ),
    "a frame that can't be read and may contain a change (`ResyncRequired`)": (
        test_connection_loss_is_followed_by_a_gap,
        test_unreadable_frame_resyncs_at_once_and_then_once_per_interval,
    ),
    "any other frame that can't be read": (test_unusable_frame_that_changes_nothing_is_skipped,),
    "your credentials function raises, or does not return within `open_timeout` (10 s)": (
        test_error_of_the_credentials_function_is_retried,
        test_credentials_function_that_hangs_is_reported_and_retried,
    ),
    "`api.ticket` raises `HttpApiAuthenticationError`": (test_refusal_of_a_ticket_stops_a_client,),
    "`api.ticket` raises `HttpApiError` with a status from 300 to 499, except 408 and 429": (
        test_refusal_of_a_ticket_stops_a_client,
        test_busy_http_api_is_retried,
    ),
    "401 with credentials from a function": (
        test_three_refusals_of_fresh_credentials_are_final,
        test_other_failure_interrupts_the_series_of_refusals,
    ),
    "401 with fixed credentials": (test_final_status_stops_the_client,),
    "any other response (1xx, 2xx, a redirect, 403, 404, other 4xx) after a sync": (
        test_refusals_after_a_sync_are_retried_with_the_longest_delay,
    ),
    "any other response before the first sync": (
        test_final_status_stops_the_client,
        test_success_without_a_websocket_stops_a_client_that_was_never_synced,
    ),
    "the certificate (`CertificateError`) after a sync": (
        test_refusals_after_a_sync_are_retried_with_the_longest_delay,
    ),
    "the certificate before the first sync": (test_untrusted_certificate_stops_the_client,),
    "`connection_limit_reached` after a sync": (
        test_connection_limit_after_a_sync_is_retried,
        test_connection_limit_after_a_sync_waits_the_longest_delay,
    ),
    "`connection_limit_reached` before the first sync": (
        test_connection_limit_on_the_first_connect_is_retried_for_minutes,
        test_lasting_connection_limit_stops_a_client_that_was_never_synced,
    ),
    "`connection_replaced`, `logout`": (test_logout_and_replacement_stop_the_client,),
    "arguments that can't work (`UsageError`)": (test_invalid_credentials_stop_the_client,),
    "an unexpected exception while reading": (test_connection_loss_is_followed_by_a_gap,),
}


def test_each_failure_of_the_documentation_has_a_test():
    """Each row of the documentation's table of failures is covered by a test above."""
    page = DOCS / "explanation" / "mirror.md"
    text = page.read_text(encoding="utf-8")
    table = text.partition("| failure | then |\n|---|---|\n")[2].partition("\n\n")[0]
    assert [row.split(" | ")[0].removeprefix("| ") for row in table.splitlines()] == [*TABLE]


async def test_classify_overrules_which_errors_are_final():
    """The classify function can retry a final error and stop on a transient one."""
    async with Simulator(calls=False) as pbx:
        calls = []

        def classify(error, final):
            calls.append((type(error), final))
            return not final

        pbx.inject(faults.Refuse(403))
        async with connected(pbx, classify=classify) as client:
            pbx.inject(faults.Drop())
            assert isinstance(await stop_reason(client), ConnectionLost)
        assert calls == [(AuthenticationError, True), (ConnectionLost, False)]


@pytest.mark.slow
async def test_clients_with_force_do_not_replace_each_other_forever():
    """Of three clients with force on one app_name, the first stops and the other two stay."""
    async with Simulator(calls=False) as pbx, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(pbx, force=True)) for _ in range(3)]
        first, *others = clients
        error = await stop_reason(first)
        assert isinstance(error, ConnectionReplaced)
        with pytest.raises(ConnectionReplaced):
            await first.synced()
        await asyncio.sleep(0.5)
        assert [client.state for client in others] == [Synced(), Synced()]
        assert [client.stats.connects for client in clients] == [1, 1, 1]


UTC_NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class LongestDelay(random.Random):
    """Random numbers at the upper end of each range."""

    def uniform(self, a, b):
        return b


def new_policy(classify=None, *, fresh_credentials=False):
    return ReconnectPolicy(
        Backoff(rng=LongestDelay()), classify, fresh_credentials=fresh_credentials
    )


def delays(policy, *times, reason=None):
    reason = ConnectionLost(1006) if reason is None else reason
    return [policy.delay_after(reason, now, UTC_NOW) for now in times]


def test_short_connections_continue_the_series_of_delays():
    policy = new_policy()
    assert delays(policy, 0, 1) == [1, 2]
    policy.synced(10)
    assert delays(policy, 10 + STEADY_TIME - 0.1) == [4]


def test_steady_connection_restarts_the_series_of_delays():
    policy = new_policy()
    assert delays(policy, 0, 1) == [1, 2]
    policy.synced(10)
    assert delays(policy, 10 + STEADY_TIME, 10 + 2 * STEADY_TIME) == [1, 2]


def test_policies_do_not_share_a_series_of_delays():
    backoff = Backoff(rng=LongestDelay())
    one, other = (ReconnectPolicy(backoff, None, fresh_credentials=False) for _ in range(2))
    assert delays(one, 0, 0) == delays(other, 0, 0) == [1, 2]


def test_resyncs_are_immediate_and_start_no_series_of_delays():
    policy = new_policy()
    reason = ResyncRequired(DecodeError(0, "x"))
    assert delays(policy, *range(5), reason=reason) == [0] * 5
    assert delays(policy, 5, 5) == [1, 2]


def test_retry_after_with_a_date_is_compared_with_utc_now():
    reason = HandshakeError(503, None, "Thu, 01 Jan 2026 12:01:30 GMT")
    assert delays(new_policy(), 0, reason=reason) == [91]


def test_third_refusal_of_fresh_credentials_is_final():
    policy = new_policy(fresh_credentials=True)
    refused = AuthenticationError(401)
    assert [policy.is_final(refused, was_synced=False) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("between", ["synced", "other failure"])
def test_refusals_count_in_a_row_only(between):
    policy = new_policy(fresh_credentials=True)
    refused = AuthenticationError(401)
    assert not policy.is_final(refused, was_synced=True)
    assert not policy.is_final(refused, was_synced=True)
    if between == "synced":
        policy.synced(0)
    else:
        assert not policy.is_final(ConnectionLost(1006), was_synced=True)
    assert not policy.is_final(refused, was_synced=True)


def test_classify_overrules_the_policy():
    decisions = []

    def classify(error, is_final):
        decisions.append((type(error), is_final))
        return not is_final

    policy = new_policy(classify)
    assert policy.is_final(ConnectionLost(1006), was_synced=True)
    assert not policy.is_final(CertificateError("expired"), was_synced=False)
    assert decisions == [(ConnectionLost, False), (CertificateError, True)]
