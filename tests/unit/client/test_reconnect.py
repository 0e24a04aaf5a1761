"""Reconnect policy: delays, final errors and immediate resyncs."""

from __future__ import annotations

import asyncio
import contextlib
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
from support.virtual_clock import on_virtual_clock, run
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
    ProtocolError,
    UsageError,
)
from basix_ws_cti.client.backoff import Backoff
from basix_ws_cti.client.client import Client
from basix_ws_cti.client.reconnect import (
    IMMEDIATE_RESYNCS,
    RESYNC_PERIOD,
    STEADY_TIME,
    ReconnectPolicy,
)
from basix_ws_cti.exceptions import (
    LoggedOut,
    NotConnectedError,
    ResyncRequired,
    SyncTimeout,
)
from basix_ws_cti.mirror.changes import Gap
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
async def test_unreadable_frame_resyncs_at_once():
    """An unreadable frame leads to a new snapshot without delay, at most three times a minute."""
    pbx = FakePbx()
    delays, errors = [], []
    async with Client("fake", connector=pbx) as client:
        client.on_error(errors.append)
        for _ in range(6):
            await client.synced(100)
            pbx.send(DecodeError(3, "x"))
            state = await entered(client, Disconnected, retry=True)
            assert isinstance(state.reason, ResyncRequired)
            delays.append(state.retry_in)
        assert delays[:3] == [0, 0, 0]
        assert all(delay >= 0.5 for delay in delays[3:])
        await client.synced(100)
        await asyncio.sleep(61)
        pbx.send(ProtocolError("x", "user"))
        assert (await entered(client, Disconnected, retry=True)).retry_in == 0
        assert client.stats.bad_frames == 7
    assert [type(one) for one in errors].count(DecodeError) == 1


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


@on_virtual_clock
async def test_error_of_classify_stops_the_client():
    """An error of the caller's classify function stops the client; waiting tasks raise it."""

    def classify(error, final):
        raise ZeroDivisionError

    pbx = FakePbx()
    pbx.plan.append(ConnectFailed("x"))
    async with Client("fake", connector=pbx, classify=classify) as client:
        with pytest.raises(ZeroDivisionError):
            await client.synced()
        assert isinstance(client.state.reason, ZeroDivisionError)


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


async def test_connection_limit_on_the_first_connect_stops_the_client():
    async with Simulator(calls=False, max_connections=1) as pbx, connected(pbx) as first:
        async with new_client(pbx) as second:
            assert isinstance(await stop_reason(second), ConnectionLimitReached)
        assert first.is_synced


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
        (faults.SendFrame("text"), ResyncRequired),
        (faults.UnspecifiedKind(), ResyncRequired),
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


# Failures as the documentation names them, and the tests that cover them.
TABLE = {
    "DNS, TCP, TLS, time-out (`ConnectFailed`)": (
        test_refused_connection_and_unknown_host_are_retried,
        test_failed_tls_is_retried,
        test_handshake_without_an_answer_is_retried,
    ),
    "the connection broke or was closed (`ConnectionLost`)": (
        test_connection_loss_is_followed_by_a_gap,
    ),
    "silence: nothing for 4 s, and no answer to a ping within 5 s": (
        test_connection_loss_is_followed_by_a_gap,
    ),
    "the PBX does not say within 60 s what there is (`SyncTimeout`)": (
        test_silent_pbx_is_a_sync_timeout_and_retried,
    ),
    "408, 429, 5xx": (
        test_transient_status_is_retried,
        test_retry_after_is_the_minimum_of_the_next_delay,
    ),
    "a frame that can't be read (`ResyncRequired`)": (test_connection_loss_is_followed_by_a_gap,),
    "your credentials function raises": (test_error_of_the_credentials_function_is_retried,),
    "401 with credentials from a function": (
        test_three_refusals_of_fresh_credentials_are_final,
        test_other_failure_interrupts_the_series_of_refusals,
    ),
    "`connection_limit_reached` after a picture was whole": (
        test_connection_limit_after_a_sync_is_retried,
    ),
    "`connection_limit_reached` before": (
        test_connection_limit_on_the_first_connect_stops_the_client,
    ),
    "401 with fixed credentials": (test_final_status_stops_the_client,),
    "403, 404, any other 4xx, a redirect": (test_final_status_stops_the_client,),
    "the certificate (`CertificateError`)": (test_untrusted_certificate_stops_the_client,),
    "`connection_replaced`, `logout`": (test_logout_and_replacement_stop_the_client,),
    "arguments that can't work (`UsageError`)": (test_invalid_credentials_stop_the_client,),
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


def test_resyncs_are_immediate_within_a_budget():
    policy = new_policy()
    reason = ResyncRequired(DecodeError(0, "x"))
    assert delays(policy, *range(IMMEDIATE_RESYNCS + 1), reason=reason) == [0, 0, 0, 1]
    later = RESYNC_PERIOD + 0.1
    assert delays(policy, later, later, reason=reason) == [0, 2]


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
    assert not policy.is_final(CertificateError("expired"), was_synced=True)
    assert decisions == [(ConnectionLost, False), (CertificateError, True)]
