"""The simulator's WebSocket server: access, limits, filters, frames, TLS, time and backlogs."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
import sys
import threading
from itertools import pairwise

import bert
import pytest
import trustme
from support.free_ports import free_port
from support.secret_scanner import DECODES_URLS, found_in
from support.simulator_clients import (
    FEED_PATH,
    WEBSOCKETS_LOGGER,
    ClientMirror,
    auth_header,
    connect_client,
    connect_websocket,
    current_mirror,
    non_reading_client,
    read_until_closed,
)
from support.waiting import TIMEOUT, eventually
from websockets.asyncio.client import connect as websocket_connect
from websockets.exceptions import InvalidStatus

from basix_ws_cti import (
    AuthenticationError,
    CertificateError,
    ConnectionLimitReached,
    ConnectionReplaced,
    FieldSpec,
    InitialInfo,
    MessageParser,
    SystemMsg,
    Ticket,
    UsageError,
    connect,
    feed_url,
)
from basix_ws_cti.simulator import Pbx, RefusedError, Simulator, feed_connection
from basix_ws_cti.simulator.certificates import make_contexts
from basix_ws_cti.simulator.scenarios import populate

LOGGER = "basix_ws_cti.simulator"


# -- access ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "headers", "status", "text"),
    [
        ("/elsewhere?app_name=a", auth_header(), 404, "no feed"),
        ("/", auth_header(), 404, "no feed"),
        (FEED_PATH + "/?app_name=a", auth_header(), 404, "no feed"),
        (FEED_PATH, auth_header(), 400, "app_name"),
        (f"{FEED_PATH}?app_name=", auth_header(), 400, "app_name"),
        (f"{FEED_PATH}?app_name=a&user_id=1", auth_header(), 400, "user_id"),
        (f"{FEED_PATH}?app_name=a&user_email=nobody", auth_header(), 400, "user_email"),
        (f"{FEED_PATH}?app_name=a", {}, 401, "credentials"),
        (f"{FEED_PATH}?app_name=a", {"Authorization": "Bearer x"}, 401, "credentials"),
        (f"{FEED_PATH}?app_name=a", {"Authorization": "Basic %"}, 401, "credentials"),
        (f"{FEED_PATH}?app_name=a", {"Authorization": "Basic /w=="}, 401, "credentials"),
        (f"{FEED_PATH}?app_name=a", [*auth_header().items()] * 2, 401, "credentials"),
        (f"{FEED_PATH}?app_name=a", auth_header("demo", "wrong"), 401, "credentials"),
        (f"{FEED_PATH}?app_name=a", auth_header("other"), 401, "credentials"),
        (f"{FEED_PATH}?app_name=a", auth_header("ws_ticket"), 401, "credentials"),
        (f"{FEED_PATH}?app_name=a", auth_header("demo", ""), 401, "credentials"),
    ],
)
async def test_refused_handshake_has_status_and_reason(target, headers, status, text):
    """Status 401 has the header WWW-Authenticate."""
    async with Simulator() as pbx:
        with pytest.raises(InvalidStatus) as caught:
            async with websocket_connect(
                pbx.url + target, additional_headers=headers, logger=WEBSOCKETS_LOGGER
            ):
                pass
        assert pbx.connections == ()
    response = caught.value.response
    assert response.status_code == status
    assert text in response.body.decode()
    assert ("WWW-Authenticate" in response.headers) is (status == 401)
    if status == 401:
        assert response.headers["WWW-Authenticate"].startswith('Basic realm="Basix"')


async def test_authentication_error_has_status_and_reason():
    async with Simulator(calls=False) as pbx:
        with pytest.raises(AuthenticationError) as caught:
            async with connect_client(pbx, token="not-the-token-1"):
                pass
    assert caught.value.status == 401
    assert "credentials" in caught.value.reason


@pytest.mark.skipif(
    not DECODES_URLS, reason="this version of websockets does not decode credentials in URLs"
)
@pytest.mark.parametrize("token", ["ひみつ:/@", ":", "a:b:c", "ÿ%41+ b"])
async def test_token_with_any_text(token):
    """The token is passed in the header and in the URL."""
    async with Simulator(token=token, domain="会社", calls=False) as pbx:
        async with connect_client(pbx) as cti:
            assert isinstance(await anext(cti), FieldSpec)
        async with websocket_connect(
            feed_url(**pbx.connect_args), proxy=None, logger=WEBSOCKETS_LOGGER
        ) as websocket:
            assert isinstance(await websocket.recv(), bytes)


async def test_repr_shows_no_token():
    simulator = Simulator(token="canary")
    assert repr(simulator) == "<Simulator not running>"
    async with simulator as pbx, connect_client(pbx, app_name="me") as cti:
        assert re.fullmatch(r"<Simulator ws://127\.0\.0\.1:\d+>", repr(pbx))
        await current_mirror(pbx, cti)
        assert re.fullmatch(r"<connection of 'me', \d+ frames sent>", repr(pbx.connections[0]))


# -- limits ---------------------------------------------------------------------------


async def test_third_connection_is_refused():
    """Two are allowed per user and app_name; the third gets a system_msg and a clean close."""
    async with (
        Simulator(calls=False) as pbx,
        connect_client(pbx) as one,
        connect_client(pbx) as two,
    ):
        async with connect_client(pbx) as three:
            assert await anext(three) == SystemMsg("connection_limit_reached")
            with pytest.raises(ConnectionLimitReached):
                await anext(three)
        async with connect_websocket(pbx, "app_name=simulator") as websocket:
            (frame,) = await read_until_closed(websocket)
            assert MessageParser().parse(frame) == SystemMsg("connection_limit_reached")
            assert websocket.close_code == 1000
        assert len(pbx.connections) == 2
        for cti in (one, two):
            assert (await current_mirror(pbx, cti)).kinds == pbx.snapshot()


@pytest.mark.parametrize("query", ["force=true", "forced=true", "force=true&forced=true"])
async def test_force_replaces_the_oldest_connection(query):
    """It gets a system_msg and is closed; the others stay."""
    async with (
        Simulator(calls=False) as pbx,
        connect_client(pbx) as one,
        connect_client(pbx) as two,
    ):
        oldest, other = pbx.connections
        await current_mirror(pbx, one)
        async with connect_websocket(pbx, f"app_name=simulator&{query}") as three:
            assert MessageParser().parse(await three.recv()).element_name == "channel"
            assert await anext(one) == SystemMsg("connection_replaced")
            with pytest.raises(ConnectionReplaced):
                await anext(one)
            assert (await current_mirror(pbx, two)).kinds == pbx.snapshot()
            assert len(pbx.connections) == 2
            assert oldest not in pbx.connections
            assert pbx.connections[0] is other


async def test_force_needs_the_value_true_and_a_full_limit():
    async with (
        Simulator(calls=False) as pbx,
        connect_client(pbx) as one,
        connect_client(pbx, force=True) as two,
    ):
        await current_mirror(pbx, two)
        async with connect_websocket(pbx, "app_name=simulator&force=1") as three:
            assert len(await read_until_closed(three)) == 1
        await current_mirror(pbx, one)
        assert len(pbx.connections) == 2


async def test_limits_are_per_app_name_and_user():
    async with Simulator(calls=False, max_connections=1) as pbx:
        user_id, another = list(pbx.pbx.users)[:2]
        async with (
            connect_client(pbx) as one,
            connect_client(pbx, app_name="other") as two,
            connect_client(pbx, user_id=user_id) as three,
            connect_client(pbx, user_id=another) as four,
        ):
            for cti in (one, two, three, four):
                await current_mirror(pbx, cti)
            assert [connection.app_name for connection in pbx.connections] == [
                "simulator",
                "other",
                "simulator",
                "simulator",
            ]
            # The same user under another filter is the same user.
            async with connect_client(pbx, user_extension="1001") as five:
                assert await anext(five) == SystemMsg("connection_limit_reached")
            async with connect_client(pbx, full_events=True) as six:
                assert await anext(six) == SystemMsg("connection_limit_reached")


async def test_closed_connections_do_not_count():
    """Refused connections do not count either."""
    async with Simulator(calls=False, max_connections=1) as pbx:
        for _ in range(10):
            async with connect_client(pbx) as cti:
                assert isinstance(await anext(cti), FieldSpec)
                async with connect_client(pbx) as turned_away:
                    assert await anext(turned_away) == SystemMsg("connection_limit_reached")
        await eventually(lambda: not pbx.connections)


async def test_aborted_connections_do_not_affect_others():
    async with Simulator(speed=20) as pbx, connect_client(pbx) as stays:
        for _ in range(5):
            async with connect_websocket(pbx) as websocket:
                await websocket.recv()
                websocket.transport.abort()
        await eventually(lambda: len(pbx.connections) == 1)
        assert (await current_mirror(pbx, stays)).kinds.keys() == pbx.snapshot().keys()


# -- tickets --------------------------------------------------------------------------


async def test_ticket_is_valid_once():
    async with Simulator(calls=False) as pbx:
        targets = []

        async def fetch(target):
            targets.append(target)
            return Ticket(pbx.ticket(target))

        arguments = {"app_name": "a", "credentials": fetch}
        for _ in range(2):
            async with connect(pbx.url, **arguments) as cti:
                assert isinstance(await anext(cti), FieldSpec)
        assert targets == [f"{FEED_PATH}?app_name=a"] * 2

        ticket = Ticket(pbx.ticket(f"{FEED_PATH}?app_name=a"))
        async with connect(pbx.url, app_name="a", credentials=ticket) as cti:
            await anext(cti)
        with pytest.raises(AuthenticationError):
            async with connect(pbx.url, app_name="a", credentials=ticket):
                pass


async def test_ticket_is_refused_for_another_target():
    """The attempt uses the ticket up."""
    async with Simulator(calls=False) as pbx:
        ticket = Ticket(pbx.ticket(f"{FEED_PATH}?app_name=a"))
        for app_name in ("b", "a"):
            with pytest.raises(AuthenticationError):
                async with connect(pbx.url, app_name=app_name, credentials=ticket):
                    pass


async def test_ticket_expires():
    async with Simulator(calls=False, ticket_lifetime=0.01) as pbx:
        ticket = Ticket(pbx.ticket(f"{FEED_PATH}?app_name=a"))
        await asyncio.sleep(0.05)
        with pytest.raises(AuthenticationError):
            async with connect(pbx.url, app_name="a", credentials=ticket):
                pass


async def test_tickets_are_for_the_feed_without_full_events():
    async with Simulator(calls=False) as pbx:
        with pytest.raises(RefusedError, match="only valid for"):
            pbx.ticket("/elsewhere?app_name=a")
        with pytest.raises(RefusedError, match="full_events"):
            pbx.ticket(f"{FEED_PATH}?app_name=a&full_events=true")


# -- filters --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user_id", "10001002"),
        ("user_label", "鈴木 花子"),
        *(
            pytest.param(name, value, marks=pytest.mark.slow)
            for name, value in (
                ("user_name", "user2"),
                ("user_extension", "1002"),
                ("user_did", "0500001002"),
                ("user_email", "user2@example.com"),
            )
        ),
    ],
)
async def test_filter_limits_channels_to_one_user(name, value):
    """The limit holds for the snapshot and later events; the other kinds are complete."""
    async with Simulator(rate=30, seed=5) as pbx, connect_client(pbx, app_name="all"):
        pbx.advance(120)
        internal_lead = pbx.call("1002", "1003")
        assert pbx.snapshot(10001002)["channel"]
        async with (
            connect_client(pbx, **{name: value}) as cti,
            connect_client(pbx, user_id=10001003) as other,
        ):
            pbx.msg("sentinel")
            expected = pbx.snapshot(10001002)
            mirror = ClientMirror()
            await mirror.read_until(cti)
            assert mirror.kinds == expected
            pbx.advance(200)
            pbx.call("1003", "1002")
            pbx.msg("sentinel")
            expected, others = pbx.snapshot(10001002), pbx.snapshot(10001003)
            assert expected["channel"] != others["channel"]
            await mirror.read_until(cti)
            assert mirror.kinds == expected
            other_mirror = ClientMirror()
            await other_mirror.read_until(other)
            await other_mirror.read_until(other)
            assert other_mirror.kinds == others
        assert internal_lead in {key for kind, key, *_ in mirror.events if kind == "channel"} | set(
            expected["channel"]
        )
        user_ids = {values["user_id"] for kind, _, values, _ in mirror.events if kind == "channel"}
        assert user_ids == {10001002}
        assert {kind for kind, *_ in mirror.events} > {"channel"}


async def test_full_events_overrides_filters():
    """This holds even for a filter that matches no user."""
    async with Simulator(calls=False) as pbx:
        pbx.call(to="1001")
        for query in ("user_extension=1002", "user_id=1", "user_name=user2"):
            async with connect_websocket(pbx, f"app_name=a&full_events=true&{query}") as websocket:
                frames = [await websocket.recv() for _ in range(2 * len(pbx.snapshot()))]
                mirror = ClientMirror()
                mirror.apply_frames(frames)
                assert mirror.kinds == pbx.snapshot()
                assert len(mirror.kinds["channel"]) == 2
        async with connect_client(pbx, full_events=True) as cti:
            assert (await current_mirror(pbx, cti)).kinds == pbx.snapshot()


# -- frames ---------------------------------------------------------------------------


async def initial_frames(pbx: Simulator) -> tuple[list[bytes], list]:
    """Return the initial frames of a client, and their messages."""
    async with connect_websocket(pbx) as websocket:
        frames = [await websocket.recv() for _ in range(2 * len(pbx.snapshot()))]
    parser = MessageParser()
    return frames, [parser.parse(frame) for frame in frames]


async def test_field_specs_come_first_by_default():
    """Then come the initial_info messages, in the same order of kinds."""
    async with Simulator(calls=False) as pbx:
        frames, messages = await initial_frames(pbx)
    kinds = ["channel", "channel_waiting", "user", "group", "group_member", "terminal", "domain"]
    assert [type(message) for message in messages] == [FieldSpec] * 7 + [InitialInfo] * 7
    assert [message.element_name for message in messages] == kinds * 2
    assert bert.decode(frames[0])[:2] == ("field_spec", b"channel")


async def test_specs_first_false_sends_each_spec_before_its_elements():
    async with Simulator(calls=False, specs_first=False) as pbx:
        _, messages = await initial_frames(pbx)
    assert [type(message) for message in messages] == [FieldSpec, InitialInfo] * 7
    for spec, info in zip(messages[::2], messages[1::2], strict=True):
        assert spec.element_name == info.element_name


@pytest.mark.parametrize(
    ("options", "prefix"),
    [
        ({"otp": 25}, b"\x83h\x03d\x00\nfield_spec"),
        ({"otp": 26}, b"\x83h\x03w\nfield_spec"),
        ({"compressed": True}, b"\x83P"),
        ({"compressed": True, "otp": 26}, b"\x83P"),
    ],
)
async def test_encodings_carry_the_same_state(options, prefix):
    """Atoms are encoded as the OTP release does, and frames are compressed on request."""
    async with Simulator(calls=False, **options) as pbx, connect_client(pbx) as cti:
        pbx.call(to="1900")
        assert (await current_mirror(pbx, cti)).kinds == pbx.snapshot()
        frames, _ = await initial_frames(pbx)
    assert frames[0].startswith(prefix)


async def test_older_server_has_queued_and_parked_channels():
    """It has no domain."""
    async with Simulator(calls=False, older=True) as pbx, connect_client(pbx) as cti:
        mirror = await current_mirror(pbx, cti)
        assert list(mirror.kinds) == [
            "channel",
            "queued_channel",
            "parked_channel",
            "user",
            "group",
            "group_member",
            "terminal",
        ]
        queued = pbx.call()
        pbx.transfer(queued, "1900")
        assert (await current_mirror(pbx, cti, mirror)).kinds["queued_channel"].keys() == {queued}
        pbx.answer(queued)
        pbx.park(queued)
        await current_mirror(pbx, cti, mirror)
        assert mirror.kinds == pbx.snapshot()
        assert mirror.kinds["parked_channel"].keys() == {queued}
        assert mirror.kinds["queued_channel"] == {}


async def test_given_pbx_is_served():
    model = Pbx(7)
    populate(model, 12)
    model.create_group("空")
    simulator = Simulator(pbx=model, calls=False)
    listeners = [*model.listeners]
    async with simulator as pbx, connect_client(pbx) as cti:
        assert pbx.pbx is model
        assert (await current_mirror(pbx, cti)).kinds == model.snapshot()
        assert len(pbx.snapshot()["user"]) == 12
    assert model.listeners == listeners


async def test_users_sets_the_number_and_seed_repeats_the_day():
    days = []
    for seed in (1, 1, 2):
        async with Simulator(users=23, seed=seed) as pbx:
            pbx.advance(600)
            days.append(pbx.snapshot())
    assert len(days[0]["user"]) == 23
    assert days[0] == days[1] != days[2]


async def test_given_port_is_used_and_freed():
    port = free_port()
    for _ in range(2):
        async with Simulator(port=port, calls=False) as pbx, connect_client(pbx) as cti:
            assert pbx.url == f"ws://127.0.0.1:{port}"
            await anext(cti)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


# -- TLS ------------------------------------------------------------------------------


async def test_tls_certificate_is_trusted_by_connect_args_only():
    async with Simulator(tls=True, calls=False) as pbx:
        assert pbx.url.startswith("wss://127.0.0.1:")
        async with connect_client(pbx) as cti:
            assert (await current_mirror(pbx, cti)).kinds == pbx.snapshot()
        arguments = pbx.connect_args
        assert isinstance(arguments.pop("ssl"), ssl.SSLContext)
        with pytest.raises(CertificateError):
            async with connect(**arguments):
                pass


async def test_tls_with_a_simulator_in_a_thread():
    with Simulator(tls=True, calls=False) as pbx:
        async with connect_client(pbx) as cti:
            assert (await current_mirror(pbx, cti)).kinds == pbx.snapshot()


async def test_given_ssl_context_is_used():
    """connect_args have no context then."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with Simulator(tls=context, calls=False) as pbx:
        assert "ssl" not in pbx.connect_args
        async with connect_client(pbx, ssl=trusting) as cti:
            assert isinstance(await anext(cti), FieldSpec)
        _, other_context = make_contexts()
        with pytest.raises(CertificateError):
            async with connect_client(pbx, ssl=other_context):
                pass


async def test_tls_needs_trustme(monkeypatch):
    """The ImportError names the extra to install, and nothing is started."""
    monkeypatch.setitem(sys.modules, "trustme", None)
    simulator = Simulator(tls=True)
    with pytest.raises(ImportError, match=r"pip install 'basix_ws_cti\[simulator\]'") as caught:
        async with simulator:
            pass
    assert caught.value.__cause__ is None
    before = threading.active_count()
    with pytest.raises(ImportError, match="trustme"), Simulator(tls=True):
        pass
    assert threading.active_count() == before


# -- snapshots and events -------------------------------------------------------------


@pytest.mark.parametrize("clients", [3, pytest.param(12, marks=pytest.mark.slow)])
async def test_client_gets_a_snapshot_then_each_event_once(clients):
    """Clients connect at different times of a busy day."""
    # A higher speed makes more events than twelve clients can read on a busy machine.
    async with Simulator(speed=20, rate=20, users=20, seed=5) as pbx:
        published: list[tuple] = []
        pbx.pbx.listeners.append(lambda *event: published.append(event))
        done = asyncio.Event()

        async def watch(number: int) -> ClientMirror:
            async with connect_client(pbx, app_name=f"client {number}") as cti:
                mirror = ClientMirror()
                following = asyncio.create_task(mirror.read_until(cti))
                await done.wait()
                await following
            return mirror

        watching = []
        for number in range(clients):
            watching.append(asyncio.create_task(watch(number)))
            await eventually(lambda: len(pbx.connections) == len(watching))
            so_far = len(published)
            await eventually(lambda so_far=so_far: len(published) > so_far)
        pbx.msg("sentinel")
        expected, count = pbx.snapshot(), len(published)
        done.set()
        mirrors = await asyncio.gather(*watching)
    del published[count:]
    numbers = set()
    for mirror in mirrors:
        assert mirror.kinds == expected
        events = mirror.events
        assert events == published[len(published) - len(events) :]
        numbers.add(len(events))
    assert len(numbers) == clients
    assert min(numbers) > 0
    assert expected["channel"]


@pytest.mark.parametrize("times", [4, pytest.param(15, marks=pytest.mark.slow)])
async def test_reconnecting_client_is_in_sync_each_time(times):
    async with (
        # A higher speed makes more events than the clients can read on a busy machine.
        Simulator(speed=20, rate=20, seed=6) as pbx,
        connect_client(pbx, app_name="stays") as stays,
    ):
        staying_mirror = ClientMirror()
        for number in range(times):
            async with connect_client(pbx, user_id=10001001 if number % 3 == 0 else None) as cti:
                await asyncio.sleep(0.01)
                pbx.msg("sentinel")
                expected = pbx.snapshot(10001001 if number % 3 == 0 else None)
                everything = pbx.snapshot()
                mirror = ClientMirror()
                await asyncio.gather(mirror.read_until(cti), staying_mirror.read_until(stays))
                assert mirror.kinds == expected
                assert staying_mirror.kinds == everything


# -- running --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["speed", "rate"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_invalid_speed_or_rate_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a positive number"):
        Simulator(**{name: value})


@pytest.mark.parametrize(
    ("options", "text"), [({"users": 0}, "an int of 1 or more"), ({"otp": 24}, "otp must be")]
)
def test_options_out_of_range_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        Simulator(**options)


async def test_addresses_need_a_running_simulator():
    simulator = Simulator(calls=False)
    for _ in range(2):
        for name in ("url", "connect_args", "api_url"):
            with pytest.raises(UsageError, match="inside"):
                getattr(simulator, name)
        async with simulator:
            assert simulator.url.removeprefix("ws") == simulator.api_url.removeprefix("http")


async def test_running_simulator_cannot_start_again():
    async with Simulator(calls=False) as pbx:
        with pytest.raises(UsageError, match="already running"):
            await pbx.__aenter__()
        with pytest.raises(UsageError, match="already running"), pbx:
            pass
        assert pbx.url
        async with connect_client(pbx) as cti:
            await anext(cti)
    with Simulator(calls=False) as pbx:
        with pytest.raises(UsageError, match="already running"):
            pbx.__enter__()
        with pytest.raises(UsageError, match="already running"):
            await pbx.__aenter__()
        assert pbx.url
        async with connect_client(pbx) as cti:
            await anext(cti)


async def test_taken_port_raises_oserror_and_leaves_no_thread():
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as sock:
        simulator = Simulator(port=sock.getsockname()[1])
        with pytest.raises(OSError, match="address already in use"):
            async with simulator:
                pass
        with pytest.raises(OSError, match="address already in use"), simulator:
            pass
    assert set(threading.enumerate()) == before


async def test_simulator_that_failed_to_start_has_no_address():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        simulator = Simulator(port=sock.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            await simulator.__aenter__()
    with pytest.raises(UsageError, match="inside"):
        _ = simulator.url
    with pytest.raises(UsageError, match="inside"):
        simulator.msg("not running")


async def test_block_leaves_no_tasks_threads_or_ports():
    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    async with Simulator(speed=100, tls=True) as pbx:
        url = pbx.url
        cti = connect_client(pbx)
        connection = await cti.__aenter__()
        await anext(connection)
    await cti.__aexit__(None, None, None)
    await eventually(lambda: asyncio.all_tasks() == tasks)
    assert threading.active_count() <= len(threads) + 1  # The loop's executor keeps one thread.
    assert pbx.connections == ()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
    threads = set(threading.enumerate())
    with Simulator(speed=100) as pbx:
        port = int(pbx.url.rpartition(":")[2])
        assert "basix simulator" in {thread.name for thread in threading.enumerate()}
    assert set(threading.enumerate()) == threads
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


async def test_time_starts_with_the_first_client():
    times = []

    def ticking():
        while True:
            times.append(pbx.pbx.now)
            yield 1

    async with Simulator(calls=False, speed=1000) as pbx:
        pbx.play(ticking())
        await asyncio.sleep(0.05)
        assert len(times) == 1
        async with connect_client(pbx) as cti:
            await anext(cti)
            await eventually(lambda: len(times) > 20)
    assert [later - earlier for earlier, later in pairwise(times)] == [1_000_000] * (len(times) - 1)


async def test_now_advances_between_events():
    """It stands still before the first client connects."""
    async with Simulator(calls=False, speed=100) as pbx:
        start = pbx.now
        assert start == pbx.pbx.now == pbx.now
        async with connect_client(pbx) as cti:
            await anext(cti)
            await eventually(lambda: pbx.now > start + 1_000_000)
            assert pbx.pbx.now == start
            pbx.advance(60)
            assert pbx.now >= start + 60_000_000


async def test_time_continues_after_advance():
    times = []

    def ticking():
        while True:
            times.append(pbx.pbx.now)
            yield 1

    async with Simulator(calls=False, speed=100) as pbx, connect_client(pbx) as cti:
        await anext(cti)
        pbx.play(ticking())
        pbx.advance(5000)
        count = len(times)
        assert count >= 5000
        await eventually(lambda: len(times) > count + 20)


def test_exit_of_the_program_is_no_error_of_the_simulator(caplog):
    """A signal handler raises it in whatever code runs at that moment."""

    def leaving():
        yield 0.01
        raise SystemExit(3)

    async def main():
        async with Simulator(calls=False) as pbx:
            pbx.play(leaving())
            async with connect_client(pbx):  # the clock of the PBX starts
                await asyncio.sleep(TIMEOUT)

    with pytest.raises(SystemExit):
        asyncio.run(main())
    assert "simulated PBX stopped" not in caplog.text


@pytest.mark.parametrize("threaded", [False, True])
async def test_error_in_a_scenario_is_logged_and_raised_at_the_end(threaded, caplog):
    """Clients stay connected."""

    def broken():
        yield 0.01
        raise LookupError("a bug")

    async def watch(pbx):
        pbx.play(broken())
        async with connect_client(pbx) as cti:
            await anext(cti)
            await eventually(lambda: "simulated PBX stopped" in caplog.text)
            await current_mirror(pbx, cti, ClientMirror())

    with pytest.raises(LookupError, match="a bug"):
        if threaded:
            with Simulator(calls=False) as pbx:
                await watch(pbx)
        else:
            async with Simulator(calls=False) as pbx:
                await watch(pbx)
    record = next(one for one in caplog.records if "simulated PBX stopped" in one.message)
    assert record.levelno == logging.ERROR
    assert record.exc_info[0] is LookupError


# -- clients that do not read ---------------------------------------------------------


@pytest.mark.slow
async def test_client_that_does_not_read_does_not_block_others():
    async with asyncio.timeout(30):
        async with Simulator(calls=False) as pbx, non_reading_client(pbx):
            await eventually(lambda: len(pbx.connections) == 1)
            backlogged = pbx.connections[0]
            async with connect_client(pbx) as cti:
                await anext(cti)
                mirror = ClientMirror()
                mirror.kinds = {kind: dict(e) for kind, e in pbx.snapshot().items()}
                for number in range(100_000):
                    if number % 1000 == 0:
                        await asyncio.sleep(0)
                    pbx.set_presence("1001", number % 4)
                    if backlogged.transport.get_write_buffer_size() > 32768:
                        break
                else:
                    raise AssertionError("the client reads")
                label = "最後"
                pbx.edit("1001", label=label)
                async for message in cti:
                    if getattr(getattr(message, "element", None), "label", None) == label:
                        break
                assert backlogged.backlog
            assert backlogged in pbx.connections


@pytest.mark.slow
async def test_client_with_too_large_backlog_is_disconnected(monkeypatch):
    """The other client stays connected."""
    monkeypatch.setattr(feed_connection, "MAX_BACKLOG", 500)
    async with Simulator(calls=False) as pbx, non_reading_client(pbx):
        await eventually(lambda: len(pbx.connections) == 1)
        async with connect_client(pbx) as cti:
            mirror = await current_mirror(pbx, cti)
            async with asyncio.timeout(TIMEOUT):
                while len(pbx.connections) == 2:
                    for number in range(100):
                        pbx.set_presence("1001", number % 4)
                    await current_mirror(pbx, cti, mirror)
            assert [one.app_name for one in pbx.connections] == ["simulator"]
            assert mirror.kinds == pbx.snapshot()


@pytest.mark.slow
async def test_backlog_stops_growing_after_the_limit(monkeypatch):
    """Not even one burst of events exceeds it."""
    monkeypatch.setattr(feed_connection, "MAX_BACKLOG", 500)
    async with Simulator(calls=False) as pbx, connect_websocket(pbx):
        await eventually(lambda: pbx.connections)
        one = pbx.connections[0]
        for number in range(5000):
            pbx.set_presence("1001", number % 4)
        assert one.backlog <= 501


async def test_connections_are_logged_with_sanitised_names(caplog):
    """There is one line for each connection, refusal and end."""
    caplog.set_level("INFO", logger=LOGGER)
    name = "a\n\x1b[31m山" + "x" * 1000
    async with Simulator(calls=False, max_connections=1) as pbx:
        async with connect_client(pbx, app_name=name) as cti:
            await anext(cti)
            async with connect_client(pbx, app_name=name) as other:
                await anext(other)
        await eventually(lambda: caplog.text.count("client disconnected") == 2)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith(LOGGER)]
    assert [line[:16] for line in lines].count("client connected") == 1
    assert sum(line.startswith("connection limit reached") for line in lines) == 1
    assert all(line.isprintable() and line.isascii() and len(line) < 400 for line in lines)
    assert not any(found_in(line) for line in lines)
