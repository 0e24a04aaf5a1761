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
from support.simulator_clients import BARE, FEED, Picture, bare, client, drain, header, seen, unread
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
    connect,
    feed_url,
)
from basix_ws_cti.simulator import Pbx, RefusedError, Simulator, feed_connection
from basix_ws_cti.simulator.certificates import make_contexts
from basix_ws_cti.simulator.scenarios import populate

LOGGER = "basix_ws_cti.simulator"


# -- who is let in --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "headers", "status", "text"),
    [
        ("/elsewhere?app_name=a", header(), 404, "no feed"),
        ("/", header(), 404, "no feed"),
        (FEED + "/?app_name=a", header(), 404, "no feed"),
        (FEED, header(), 400, "app_name"),
        (f"{FEED}?app_name=", header(), 400, "app_name"),
        (f"{FEED}?app_name=a&user_id=1", header(), 400, "user_id"),
        (f"{FEED}?app_name=a&user_email=nobody", header(), 400, "user_email"),
        (f"{FEED}?app_name=a", {}, 401, "credentials"),
        (f"{FEED}?app_name=a", {"Authorization": "Bearer x"}, 401, "credentials"),
        (f"{FEED}?app_name=a", {"Authorization": "Basic %"}, 401, "credentials"),
        (f"{FEED}?app_name=a", {"Authorization": "Basic /w=="}, 401, "credentials"),
        (f"{FEED}?app_name=a", [*header().items()] * 2, 401, "credentials"),
        (f"{FEED}?app_name=a", header("demo", "wrong"), 401, "credentials"),
        (f"{FEED}?app_name=a", header("other"), 401, "credentials"),
        (f"{FEED}?app_name=a", header("ws_ticket"), 401, "credentials"),
        (f"{FEED}?app_name=a", header("demo", ""), 401, "credentials"),
    ],
)
async def test_who_is_not_let_in(target, headers, status, text):
    """Each way to be refused has its status, a reason, and for 401 how to authenticate."""
    async with Simulator() as pbx:
        with pytest.raises(InvalidStatus) as caught:
            async with websocket_connect(pbx.url + target, additional_headers=headers, logger=BARE):
                pass
        assert pbx.connections == ()
    response = caught.value.response
    assert response.status_code == status
    assert text in response.body.decode()
    assert ("WWW-Authenticate" in response.headers) is (status == 401)
    if status == 401:
        assert response.headers["WWW-Authenticate"].startswith('Basic realm="Basix"')


async def test_the_library_says_why_it_was_refused():
    """connect() carries the simulator's 401 and its reason."""
    async with Simulator(calls=False) as pbx:
        with pytest.raises(AuthenticationError) as caught:
            async with client(pbx, token="wrong"):
                pass
    assert caught.value.status == 401
    assert "credentials" in caught.value.reason


@pytest.mark.skipif(not DECODES_URLS, reason="the bare client takes URLs as they are written")
@pytest.mark.parametrize("token", ["ひみつ:/@", ":", "a:b:c", "ÿ%41+ "])
async def test_tokens_of_any_text(token):
    """A token may hold any character, colons too, by header and by URL."""
    async with Simulator(token=token, domain="会社", calls=False) as pbx:
        async with client(pbx) as cti:
            assert isinstance(await anext(cti), FieldSpec)
        async with websocket_connect(
            feed_url(**pbx.connect_args), proxy=None, logger=BARE
        ) as websocket:
            assert isinstance(await websocket.recv(), bytes)


async def test_no_token_in_repr():
    """Neither the simulator's repr nor a connection's shows the token."""
    simulator = Simulator(token="canary")
    assert repr(simulator) == "<Simulator not running>"
    async with simulator as pbx, client(pbx, app_name="me") as cti:
        assert re.fullmatch(r"<Simulator ws://127\.0\.0\.1:\d+>", repr(pbx))
        await seen(pbx, cti)
        assert re.fullmatch(r"<connection of 'me', \d+ frames sent>", repr(pbx.connections[0]))
        assert "canary" not in f"{pbx._access!r}"


# -- limits ---------------------------------------------------------------------------


async def test_the_third_is_turned_away():
    """Two connections for a user and app_name; the third gets a word, and a proper close."""
    async with Simulator(calls=False) as pbx, client(pbx) as one, client(pbx) as two:
        async with client(pbx) as three:
            assert await anext(three) == SystemMsg("connection_limit_reached")
            with pytest.raises(ConnectionLimitReached):
                await anext(three)
        async with bare(pbx, "app_name=simulator") as websocket:
            (frame,) = await drain(websocket)
            assert MessageParser().parse(frame) == SystemMsg("connection_limit_reached")
            assert websocket.close_code == 1000
        assert len(pbx.connections) == 2
        for cti in (one, two):
            assert (await seen(pbx, cti)).kinds == pbx.snapshot()


@pytest.mark.parametrize("query", ["force=true", "forced=true", "force=true&forced=true"])
async def test_force_takes_the_oldest_ones_place(query):
    """With either spelling the oldest is told, and closed; the others live on."""
    async with Simulator(calls=False) as pbx, client(pbx) as one, client(pbx) as two:
        oldest, other = pbx.connections
        await seen(pbx, one)
        async with bare(pbx, f"app_name=simulator&{query}") as three:
            assert MessageParser().parse(await three.recv()).element_name == "channel"
            assert await anext(one) == SystemMsg("connection_replaced")
            with pytest.raises(ConnectionReplaced):
                await anext(one)
            assert (await seen(pbx, two)).kinds == pbx.snapshot()
            assert len(pbx.connections) == 2
            assert oldest not in pbx.connections
            assert pbx.connections[0] is other


async def test_force_is_true_alone():
    """force=1 forces nothing, and force where there is room replaces nobody."""
    async with (
        Simulator(calls=False) as pbx,
        client(pbx) as one,
        client(pbx, force=True) as two,
    ):
        await seen(pbx, two)
        async with bare(pbx, "app_name=simulator&force=1") as three:
            assert len(await drain(three)) == 1
        await seen(pbx, one)
        assert len(pbx.connections) == 2


async def test_limits_are_apart():
    """Each app_name, and each user that is asked for, has places of its own."""
    async with Simulator(calls=False, max_connections=1) as pbx:
        user_id, another = list(pbx.pbx.users)[:2]
        async with (
            client(pbx) as one,
            client(pbx, app_name="other") as two,
            client(pbx, user_id=user_id) as three,
            client(pbx, user_id=another) as four,
        ):
            for cti in (one, two, three, four):
                await seen(pbx, cti)
            assert [feed_connection.app_name for feed_connection in pbx.connections] == [
                "simulator",
                "other",
                "simulator",
                "simulator",
            ]
            # The same user under another filter is the same user.
            async with client(pbx, user_extension="1001") as five:
                assert await anext(five) == SystemMsg("connection_limit_reached")
            async with client(pbx, full_events=True) as six:
                assert await anext(six) == SystemMsg("connection_limit_reached")


async def test_a_place_is_free_again():
    """Who has closed no longer counts, and neither does who was turned away."""
    async with Simulator(calls=False, max_connections=1) as pbx:
        for _ in range(10):
            async with client(pbx) as cti:
                assert isinstance(await anext(cti), FieldSpec)
                async with client(pbx) as turned_away:
                    assert await anext(turned_away) == SystemMsg("connection_limit_reached")
        await eventually(lambda: not pbx.connections)


async def test_a_client_that_vanishes_is_forgotten():
    """A client that breaks off leaves the simulator and the others as they were."""
    async with Simulator(speed=200) as pbx, client(pbx) as stays:
        for _ in range(5):
            async with bare(pbx) as websocket:
                await websocket.recv()
                websocket.transport.abort()
        await eventually(lambda: len(pbx.connections) == 1)
        assert (await seen(pbx, stays)).kinds.keys() == pbx.snapshot().keys()


# -- tickets --------------------------------------------------------------------------


async def test_a_ticket_opens_its_target_once():
    """A ticket lets in one connection to its exact target, and is used up then."""
    async with Simulator(calls=False) as pbx:
        asked = []

        async def fetch(target):
            asked.append(target)
            return Ticket(pbx.ticket(target))

        arguments = {"app_name": "a", "credentials": fetch}
        for _ in range(2):
            async with connect(pbx.url, **arguments) as cti:
                assert isinstance(await anext(cti), FieldSpec)
        assert asked == [f"{FEED}?app_name=a"] * 2

        ticket = Ticket(pbx.ticket(f"{FEED}?app_name=a"))
        async with connect(pbx.url, app_name="a", credentials=ticket) as cti:
            await anext(cti)
        with pytest.raises(AuthenticationError):
            async with connect(pbx.url, app_name="a", credentials=ticket):
                pass


async def test_a_ticket_for_another_target():
    """A ticket opens no other target than its own, and is used up by the attempt."""
    async with Simulator(calls=False) as pbx:
        ticket = Ticket(pbx.ticket(f"{FEED}?app_name=a"))
        for app_name in ("b", "a"):
            with pytest.raises(AuthenticationError):
                async with connect(pbx.url, app_name=app_name, credentials=ticket):
                    pass


async def test_a_ticket_expires():
    """A ticket opens nothing after its lifetime."""
    async with Simulator(calls=False, ticket_lifetime=0.01) as pbx:
        ticket = Ticket(pbx.ticket(f"{FEED}?app_name=a"))
        await asyncio.sleep(0.05)
        with pytest.raises(AuthenticationError):
            async with connect(pbx.url, app_name="a", credentials=ticket):
                pass


async def test_no_ticket_for_that():
    """There are tickets for the feed alone, and none with full_events."""
    async with Simulator(calls=False) as pbx:
        with pytest.raises(RefusedError, match="only valid for"):
            pbx.ticket("/elsewhere?app_name=a")
        with pytest.raises(RefusedError, match="full_events"):
            pbx.ticket(f"{FEED}?app_name=a&full_events=true")


# -- filters --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user_id", "10001002"),
        ("user_name", "user2"),
        ("user_label", "鈴木 花子"),
        ("user_extension", "1002"),
        ("user_did", "0500001002"),
        ("user_email", "user2@example.com"),
    ],
)
async def test_a_filter_shows_one_users_channels(name, value):
    """Each filter gives one user's channels alone, at first and later; and all of the rest."""
    async with Simulator(rate=30, seed=5) as pbx, client(pbx, app_name="all"):
        pbx.advance(120)
        inside = pbx.call("1002", "1003")
        assert pbx.snapshot(10001002)["channel"]
        async with client(pbx, **{name: value}) as cti, client(pbx, user_id=10001003) as other:
            pbx.msg("sentinel")
            expected = pbx.snapshot(10001002)
            picture = Picture()
            await picture.follow(cti)
            assert picture.kinds == expected
            pbx.advance(200)
            pbx.call("1003", "1002")
            pbx.msg("sentinel")
            expected, others = pbx.snapshot(10001002), pbx.snapshot(10001003)
            assert expected["channel"] != others["channel"]
            await picture.follow(cti)
            assert picture.kinds == expected
            theirs = Picture()
            await theirs.follow(other)
            await theirs.follow(other)
            assert theirs.kinds == others
        assert inside in {key for kind, key, *_ in picture.events if kind == "channel"} | set(
            expected["channel"]
        )
        whose = {values["user_id"] for kind, _, values, _ in picture.events if kind == "channel"}
        assert whose == {10001002}
        assert {kind for kind, *_ in picture.events} > {"channel"}


async def test_full_events_overrides_a_filter():
    """With full_events=true a filter means nothing, not even one that names nobody."""
    async with Simulator(calls=False) as pbx:
        pbx.call(to="1001")
        for query in ("user_extension=1002", "user_id=1", "user_name=user2"):
            async with bare(pbx, f"app_name=a&full_events=true&{query}") as websocket:
                frames = [await websocket.recv() for _ in range(2 * len(pbx.snapshot()))]
                picture = Picture()
                picture.follow_frames(frames)
                assert picture.kinds == pbx.snapshot()
                assert len(picture.kinds["channel"]) == 2
        async with client(pbx, full_events=True) as cti:
            assert (await seen(pbx, cti)).kinds == pbx.snapshot()


# -- what goes over the wire ----------------------------------------------------------


async def initial_frames(pbx: Simulator) -> tuple[list[bytes], list]:
    """The frames of a client's opening, and what they say."""
    async with bare(pbx) as websocket:
        frames = [await websocket.recv() for _ in range(2 * len(pbx.snapshot()))]
    parser = MessageParser()
    return frames, [parser.parse(frame) for frame in frames]


async def test_specs_come_first():
    """By default all field_specs come before the first initial_info, in the order of kinds."""
    async with Simulator(calls=False) as pbx:
        frames, messages = await initial_frames(pbx)
    kinds = ["channel", "channel_waiting", "user", "group", "group_member", "terminal", "domain"]
    assert [type(message) for message in messages] == [FieldSpec] * 7 + [InitialInfo] * 7
    assert [message.element_name for message in messages] == kinds * 2
    assert bert.decode(frames[0])[:2] == ("field_spec", b"channel")


async def test_each_spec_before_its_info():
    """With specs_first=False each field_spec comes just before the initial_info of its kind."""
    async with Simulator(calls=False, specs_first=False) as pbx:
        _, messages = await initial_frames(pbx)
    assert [type(message) for message in messages] == [FieldSpec, InitialInfo] * 7
    for spec, info in zip(messages[::2], messages[1::2], strict=True):
        assert spec.element_name == info.element_name


@pytest.mark.parametrize(
    ("options", "inside"),
    [
        ({"otp": 25}, b"\x83h\x03d\x00\nfield_spec"),
        ({"otp": 26}, b"\x83h\x03w\nfield_spec"),
        ({"compressed": True}, b"\x83P"),
        ({"compressed": True, "otp": 26}, b"\x83P"),
    ],
)
async def test_encodings(options, inside):
    """Atoms are written as the OTP release does, frames compressed on request; the same is said."""
    async with Simulator(calls=False, **options) as pbx, client(pbx) as cti:
        pbx.call(to="1900")
        assert (await seen(pbx, cti)).kinds == pbx.snapshot()
        frames, _ = await initial_frames(pbx)
    assert frames[0].startswith(inside)


async def test_an_older_server():
    """An older server knows queued and parked channels apart, and no domain."""
    async with Simulator(calls=False, older=True) as pbx, client(pbx) as cti:
        picture = await seen(pbx, cti)
        assert list(picture.kinds) == [
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
        assert (await seen(pbx, cti, picture)).kinds["queued_channel"].keys() == {queued}
        pbx.answer(queued)
        pbx.park(queued)
        await seen(pbx, cti, picture)
        assert picture.kinds == pbx.snapshot()
        assert picture.kinds["parked_channel"].keys() == {queued}
        assert picture.kinds["queued_channel"] == {}


async def test_a_pbx_of_ones_own():
    """A pbx that is given is the one that is served, as it is."""
    own = Pbx(7)
    populate(own, 12)
    own.create_group("空")
    async with Simulator(pbx=own, calls=False) as pbx, client(pbx) as cti:
        assert pbx.pbx is own
        assert (await seen(pbx, cti)).kinds == own.snapshot()
        assert len(pbx.snapshot()["user"]) == 12
    assert all(listener != pbx._client_handler.publish_change for listener in own.listeners)


async def test_users_and_seed():
    """users says how many there are, and a seed repeats the day."""
    days = []
    for seed in (1, 1, 2):
        async with Simulator(users=23, seed=seed) as pbx:
            pbx.advance(600)
            days.append(pbx.snapshot())
    assert len(days[0]["user"]) == 23
    assert days[0] == days[1] != days[2]


async def test_a_port_of_ones_own():
    """The port that is asked for is the one that is listened on, and free afterwards."""
    port = free_port()
    for _ in range(2):
        async with Simulator(port=port, calls=False) as pbx, client(pbx) as cti:
            assert pbx.url == f"ws://127.0.0.1:{port}"
            await anext(cti)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


# -- TLS ------------------------------------------------------------------------------


async def test_tls():
    """tls=True makes a certificate that connect_args trust, and that nobody else does."""
    async with Simulator(tls=True, calls=False) as pbx:
        assert pbx.url.startswith("wss://127.0.0.1:")
        async with client(pbx) as cti:
            assert (await seen(pbx, cti)).kinds == pbx.snapshot()
        arguments = pbx.connect_args
        assert isinstance(arguments.pop("ssl"), ssl.SSLContext)
        with pytest.raises(CertificateError):
            async with connect(**arguments):
                pass


async def test_tls_in_a_thread():
    """The same certificate serves clients of other threads' simulators."""
    with Simulator(tls=True, calls=False) as pbx:
        async with client(pbx) as cti:
            assert (await seen(pbx, cti)).kinds == pbx.snapshot()


async def test_a_context_of_ones_own():
    """An SSLContext is used as it is, and connect_args bring none."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with Simulator(tls=context, calls=False) as pbx:
        assert "ssl" not in pbx.connect_args
        async with client(pbx, ssl=trusting) as cti:
            assert isinstance(await anext(cti), FieldSpec)
        _, stranger = make_contexts()
        with pytest.raises(CertificateError):
            async with client(pbx, ssl=stranger):
                pass


async def test_tls_without_trustme(monkeypatch):
    """Without trustme tls=True is an ImportError that says what to install, and nothing runs."""
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


# -- one snapshot, then every event ---------------------------------------------------


async def test_a_snapshot_and_every_later_event_once():
    """Whenever a client comes, it gets one picture, then each event once, in order."""
    async with Simulator(speed=300, rate=20, users=20, seed=5) as pbx:
        told: list[tuple] = []
        pbx.pbx.listeners.append(lambda *event: told.append(event))
        done = asyncio.Event()

        async def watch(number: int) -> Picture:
            async with client(pbx, app_name=f"client {number}") as cti:
                picture = Picture()
                following = asyncio.create_task(picture.follow(cti))
                await done.wait()
                await following
            return picture

        watching = []
        for number in range(12):
            watching.append(asyncio.create_task(watch(number)))
            await eventually(lambda: len(pbx.connections) == len(watching))
            so_far = len(told)
            await eventually(lambda so_far=so_far: len(told) > so_far)
        pbx.msg("sentinel")
        expected, count = pbx.snapshot(), len(told)
        done.set()
        pictures = await asyncio.gather(*watching)
    del told[count:]
    numbers = set()
    for picture in pictures:
        assert picture.kinds == expected
        events = picture.events
        assert events == told[len(told) - len(events) :]
        numbers.add(len(events))
    assert len(numbers) == 12
    assert min(numbers) > 0
    assert expected["channel"]


async def test_clients_that_come_and_go():
    """A client that comes back again and again holds the PBX's picture each time."""
    async with Simulator(speed=300, rate=20, seed=6) as pbx, client(pbx, app_name="stays") as stays:
        whole = Picture()
        for number in range(15):
            async with client(pbx, user_id=10001001 if number % 3 == 0 else None) as cti:
                await asyncio.sleep(0.01)
                pbx.msg("sentinel")
                expected = pbx.snapshot(10001001 if number % 3 == 0 else None)
                everything = pbx.snapshot()
                picture = Picture()
                await asyncio.gather(picture.follow(cti), whole.follow(stays))
                assert picture.kinds == expected
                assert whole.kinds == everything


# -- running --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["speed", "rate"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_a_speed_or_rate_that_is_none(name, value):
    """A speed or rate at which time would stand still, or run away, is refused."""
    with pytest.raises(ValueError, match=f"{name} must be a positive number"):
        Simulator(**{name: value})


@pytest.mark.parametrize(
    ("options", "text"), [({"users": 0}, "at least 1"), ({"otp": 24}, "otp must be")]
)
def test_options_out_of_range(options, text):
    """No users, or an OTP that is not known, are refused."""
    with pytest.raises(ValueError, match=text):
        Simulator(**options)


async def test_the_address_is_there_inside_the_block():
    """Before and after the block there is no address, nor an API's without api=True."""
    simulator = Simulator(calls=False)
    for _ in range(2):
        for name in ("url", "connect_args", "api_url"):
            with pytest.raises(RuntimeError, match="inside"):
                getattr(simulator, name)
        async with simulator:
            assert simulator.url
            with pytest.raises(RuntimeError, match="api=True"):
                _ = simulator.api_url


async def test_running_once():
    """A simulator that runs can't be started again, in either form."""
    async with Simulator(calls=False) as pbx:
        with pytest.raises(RuntimeError, match="already running"):
            await pbx.__aenter__()
        with pytest.raises(RuntimeError, match="already running"), pbx:
            pass
        assert pbx.url
        async with client(pbx) as cti:
            await anext(cti)
    with Simulator(calls=False) as pbx:
        with pytest.raises(RuntimeError, match="already running"):
            pbx.__enter__()
        with pytest.raises(RuntimeError, match="already running"):
            await pbx.__aenter__()
        assert pbx.url
        async with client(pbx) as cti:
            await anext(cti)


async def test_a_taken_port():
    """A port that is taken is an OSError in both forms, and leaves no thread."""
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as sock:
        simulator = Simulator(port=sock.getsockname()[1])
        with pytest.raises(OSError, match="address already in use"):
            async with simulator:
                pass
        with pytest.raises(OSError, match="address already in use"), simulator:
            pass
    assert set(threading.enumerate()) == before


async def test_a_simulator_that_did_not_start_has_no_address():
    """After an entry that failed there is no address, nor anything to control."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        simulator = Simulator(port=sock.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            await simulator.__aenter__()
    with pytest.raises(RuntimeError, match="inside"):
        _ = simulator.url
    with pytest.raises(RuntimeError, match="inside"):
        simulator.msg("nobody is there")


async def test_nothing_is_left():
    """After the block its tasks, its thread and its port are gone, clients or not."""
    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    async with Simulator(speed=100, api=True, tls=True) as pbx:
        url = pbx.url
        cti = client(pbx)
        connection = await cti.__aenter__()
        await anext(connection)
    await cti.__aexit__(None, None, None)
    await eventually(lambda: asyncio.all_tasks() == tasks)
    assert threading.active_count() <= len(threads) + 1  # the loop's executor keeps its own
    assert pbx.connections == ()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
    threads = set(threading.enumerate())
    with Simulator(speed=100, api=True) as pbx:
        ports = [int(url.rpartition(":")[2]) for url in (pbx.url, pbx.api_url)]
        assert "basix simulator" in {thread.name for thread in threading.enumerate()}
    assert set(threading.enumerate()) == threads
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


async def test_time_begins_with_the_first_client():
    """Nothing happens before somebody is there to see it; then it does, by itself."""
    steps = []

    def ticking():
        while True:
            steps.append(pbx.pbx.now)
            yield 1

    async with Simulator(calls=False, speed=1000) as pbx:
        pbx.play(ticking())
        await asyncio.sleep(0.05)
        assert len(steps) == 1
        async with client(pbx) as cti:
            await anext(cti)
            await eventually(lambda: len(steps) > 20)
    assert [later - earlier for earlier, later in pairwise(steps)] == [1_000_000] * (len(steps) - 1)


async def test_its_time_can_be_read():
    """``now`` stands still before the first client comes, and then passes between events too."""
    async with Simulator(calls=False, speed=100) as pbx:
        begin = pbx.now
        assert begin == pbx.pbx.now == pbx.now
        async with client(pbx) as cti:
            await anext(cti)
            await eventually(lambda: pbx.now > begin + 1_000_000)
            assert pbx.pbx.now == begin
            pbx.advance(60)
            assert pbx.now >= begin + 60_000_000


async def test_time_goes_on_after_advance():
    """What advance() skips need not pass again: the world does not stand still after it."""
    steps = []

    def ticking():
        while True:
            steps.append(pbx.pbx.now)
            yield 1

    async with Simulator(calls=False, speed=100) as pbx, client(pbx) as cti:
        await anext(cti)
        pbx.play(ticking())
        pbx.advance(5000)
        count = len(steps)
        assert count >= 5000
        await eventually(lambda: len(steps) > count + 20)


@pytest.mark.parametrize("threaded", [False, True])
async def test_an_error_in_the_world_comes_out(threaded, caplog):
    """A scenario that fails is logged, and leaving the block raises it; clients live on."""

    def broken():
        yield 0.01
        raise LookupError("the world ended")

    async def watch(pbx):
        pbx.play(broken())
        async with client(pbx) as cti:
            await anext(cti)
            await eventually(lambda: "simulated PBX stopped" in caplog.text)
            await seen(pbx, cti, Picture())

    with pytest.raises(LookupError, match="the world ended"):
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


async def test_a_client_that_does_not_read_holds_up_nobody():
    """The others get everything meanwhile, and the simulator ends in about a second."""
    async with asyncio.timeout(30):
        async with Simulator(calls=False) as pbx, unread(pbx):
            await eventually(lambda: len(pbx.connections) == 1)
            idle = pbx.connections[0]
            async with client(pbx) as cti:
                await anext(cti)
                picture = Picture()
                picture.kinds = {kind: dict(e) for kind, e in pbx.snapshot().items()}
                for number in range(100_000):
                    if number % 1000 == 0:
                        await asyncio.sleep(0)
                    pbx.set_presence("1001", number % 4)
                    if idle.transport.get_write_buffer_size() > 32768:
                        break
                else:
                    raise AssertionError("the client reads after all")
                label = "最後"
                pbx.edit("1001", label=label)
                async for message in cti:
                    if getattr(getattr(message, "element", None), "label", None) == label:
                        break
                assert idle._frames
            assert idle in pbx.connections


async def test_a_backlog_has_an_end(monkeypatch):
    """A client whose backlog grows beyond the limit is cut off, and another is not."""
    monkeypatch.setattr(feed_connection, "MAX_BACKLOG", 500)
    async with Simulator(calls=False) as pbx, unread(pbx):
        await eventually(lambda: len(pbx.connections) == 1)
        async with client(pbx) as cti:
            picture = await seen(pbx, cti)
            async with asyncio.timeout(TIMEOUT):
                while len(pbx.connections) == 2:
                    for number in range(100):
                        pbx.set_presence("1001", number % 4)
                    await seen(pbx, cti, picture)
            assert [one.app_name for one in pbx.connections] == ["simulator"]
            assert picture.kinds == pbx.snapshot()


async def test_a_backlog_that_is_cut_off_is_forgotten(monkeypatch):
    """Frames do not go on piling up for a client that was cut off, within one burst either."""
    monkeypatch.setattr(feed_connection, "MAX_BACKLOG", 500)
    async with Simulator(calls=False) as pbx, bare(pbx):
        await eventually(lambda: pbx.connections)
        one = pbx.connections[0]
        for number in range(5000):
            pbx.set_presence("1001", number % 4)
        assert len(one._frames) <= 501


async def test_who_comes_and_goes_is_logged(caplog):
    """A line for each connection, refusal and end, with what the client wrote made harmless."""
    caplog.set_level("INFO", logger=LOGGER)
    name = "a\n\x1b[31m山" + "x" * 1000
    async with Simulator(calls=False, max_connections=1) as pbx:
        async with client(pbx, app_name=name) as cti:
            await anext(cti)
            async with client(pbx, app_name=name) as other:
                await anext(other)
        await eventually(lambda: caplog.text.count("client disconnected") == 2)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith(LOGGER)]
    assert [line[:16] for line in lines].count("client connected") == 1
    assert sum(line.startswith("connection limit reached") for line in lines) == 1
    assert all(line.isprintable() and line.isascii() and len(line) < 400 for line in lines)
    assert not any(found_in(line) for line in lines)
