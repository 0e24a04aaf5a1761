"""Dialling: look-ups, the race of addresses and its errors."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import threading

import pytest
from support.free_ports import free_port
from support.networks import black_hole, hanging_look_ups, resolve_to
from support.waiting import TIMEOUT, eventually

from basix_ws_cti.transport.dialling import (
    MAX_ADDRESSES,
    AddressRace,
    Dial,
    UnreachableHostError,
    resolve,
)

V4, V6 = socket.AF_INET, socket.AF_INET6
REFUSED = os.strerror(111)


def info(address, port=80):
    family = V6 if ":" in address else V4
    rest = (0, 0) if family == V6 else ()
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, *rest)


class Network:
    """Simulated network: ``answers`` maps addresses to an error, ``True``, or ``None`` (silence).

    ``tried`` has the addresses in order; ``sockets`` all sockets that were used.
    """

    def __init__(self, **answers):
        self.answers = answers
        self.tried = []
        self.sockets = []

    async def connect_socket(self, sock, address):
        self.tried.append(address[0])
        self.sockets.append(sock)
        answer = self.answers[address[0]]
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer

    def race(self, *addresses, delay=0.01):
        return AddressRace(
            "pbx", map(info, addresses), delay=delay, connect_socket=self.connect_socket
        )


def network(**answers):
    return Network(**answers)


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


# -- look-ups --------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
async def test_ip_address_needs_no_look_up(host, monkeypatch):
    monkeypatch.delattr(socket, "getaddrinfo")
    assert await resolve(host, 5) == [info(host, 5)]


async def test_scope_id_of_an_address_is_looked_up():
    """It is the name of a network interface."""
    with pytest.raises(OSError):
        await resolve("fe80::1%no-such-interface", 5)


async def test_name_is_looked_up_in_a_daemon_thread(monkeypatch):
    threads = []

    def getaddrinfo(host, port, *rest, **named):
        threads.append(threading.current_thread())
        return [info("192.0.2.1", port)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert await resolve("pbx.example", 5) == [info("192.0.2.1", 5)]
    assert [thread.daemon for thread in threads] == [True]


async def test_name_without_an_address_raises_os_error(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    with pytest.raises(OSError, match="found no address"):
        await resolve("pbx.example", 5)


async def test_addresses_beyond_the_maximum_are_left_out(monkeypatch):
    many = [info(f"192.0.2.{number}") for number in range(MAX_ADDRESSES + 1)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: many)
    assert await resolve("pbx.example", 5) == many[:MAX_ADDRESSES]


async def test_hanging_look_up_is_shared_by_retries(monkeypatch):
    with hanging_look_ups(monkeypatch) as looked_up:
        before = threading.active_count()
        for _ in range(20):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.001):
                    await resolve("pbx.example", 5)
        await eventually(lambda: looked_up)
        assert (len(looked_up), threading.active_count() - before) == (1, 1)


async def test_full_executor_does_not_delay_a_look_up():
    loop = asyncio.get_running_loop()
    end = threading.Event()
    for _ in range(40):
        loop.run_in_executor(None, end.wait, TIMEOUT)
    try:
        async with asyncio.timeout(TIMEOUT / 2):
            assert await resolve("localhost", 5)
    finally:
        end.set()


# -- the race --------------------------------------------------------------------------------


async def test_first_address_that_answers_wins():
    net = network(a=True, b=True)
    race = net.race("a", "b")
    with await race.run() as sock:
        assert [sock] == net.sockets
        assert sock.gettimeout() == 0
    assert (net.tried, race.winner[4][0], race.failures, race.unanswered) == (["a"], "a", {}, [])


async def test_next_address_is_tried_after_the_delay():
    """The first one stays in the race until the other one answers; then it is closed."""
    net = network(a=None, b=True)
    race = net.race("a", "b")
    began = asyncio.get_running_loop().time()
    with await race.run():
        assert asyncio.get_running_loop().time() - began >= 0.01
    await eventually(lambda: net.sockets[0].fileno() == -1)
    assert (race.winner[4][0], race.unanswered) == ("b", ["a"])


async def test_next_address_is_tried_at_once_after_a_failure():
    net = network(a=OSError(111, REFUSED), b=True)
    race = net.race("a", "b", delay=TIMEOUT)
    with await race.run():
        assert [*race.failures] == ["a"]
    assert net.sockets[0].fileno() == -1


async def test_slow_first_address_can_still_win():
    answer = asyncio.Event()

    async def connect_socket(sock, address):
        if address[0] == "a":
            await answer.wait()
        else:
            answer.set()
            await asyncio.Event().wait()

    race = AddressRace("pbx", map(info, "ab"), delay=0.01, connect_socket=connect_socket)
    with await race.run():
        assert race.winner[4][0] == "a"


async def test_two_answers_at_once_leave_one_socket():
    answer = asyncio.Event()
    net = network()

    async def connect_socket(sock, address):
        net.sockets.append(sock)
        if len(net.sockets) == 2:
            answer.set()
        await answer.wait()

    race = AddressRace("pbx", map(info, "ab"), delay=0, connect_socket=connect_socket)
    with await race.run() as winner:
        await asyncio.sleep(0)
        await eventually(lambda: [s for s in net.sockets if s.fileno() != -1] == [winner])


async def test_address_families_alternate():
    """RFC 8305, section 4; the first address decides which family begins."""
    order = [one[4][0] for one in network().race("::1", "::2", "::3", "a", "b").addresses]
    assert order == ["::1", "a", "::2", "b", "::3"]
    order = [one[4][0] for one in network().race("a", "b", "::1").addresses]
    assert order == ["a", "::1", "b"]


async def test_silent_address_stays_in_the_race_after_the_others_have_failed():
    answer = asyncio.Event()
    net = network()

    async def connect_socket(sock, address):
        net.tried.append(address[0])
        if address[0] != "a":
            raise OSError("problem")
        await answer.wait()

    race = AddressRace("pbx", map(info, "abc"), delay=0, connect_socket=connect_socket)
    task = asyncio.create_task(race.run())
    await eventually(lambda: [*race.failures] == ["b", "c"])
    answer.set()
    with await task:
        assert race.winner[4][0] == "a"


async def test_only_address_raises_its_own_error():
    error = OSError(111, REFUSED)
    race = network(a=error).race("a")
    with pytest.raises(OSError) as caught:
        await race.run()
    assert caught.value is error
    with pytest.raises(RuntimeError):
        _ = race.winner


async def test_error_of_several_addresses_has_their_number_and_reasons():
    net = network(a=OSError(111, REFUSED), b=OSError("x"), c=OverflowError())
    race = net.race("a", "b", "c")
    with pytest.raises(OSError) as caught:
        await race.run()
    assert str(caught.value) == (
        f"none of 3 addresses of pbx can be reached; a: {REFUSED}; b: x; c: OverflowError"
    )
    assert {sock.fileno() for sock in net.sockets} == {-1}


async def test_cancelled_race_closes_all_sockets():
    net = network(a=None, b=None)
    race = net.race("a", "b", delay=0)
    task = asyncio.create_task(race.run())
    await eventually(lambda: len(net.sockets) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: {sock.fileno() for sock in net.sockets} == {-1})
    assert race.unanswered == ["a", "b"]


async def test_socket_that_cannot_be_created_is_a_failure():
    bad = (-5, socket.SOCK_STREAM, 0, "", ("bad", 80))
    net = network(a=True)
    race = AddressRace("pbx", [bad, info("a")], connect_socket=net.connect_socket)
    with await race.run():
        assert [*race.failures] == ["bad"]


# -- dialling --------------------------------------------------------------------------------


async def test_dial_reaches_the_second_address(monkeypatch, listening):
    """The first one drops all packets."""
    resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1", host="pbx.example")
    with black_hole("127.0.0.2", listening):
        began = asyncio.get_running_loop().time()
        with await Dial("pbx.example", listening, "pbx.example").open() as sock:
            assert sock.getpeername() == ("127.0.0.1", listening)
        assert 0.25 <= asyncio.get_running_loop().time() - began < TIMEOUT


async def test_dial_says_what_it_waits_for(monkeypatch, listening):
    dial = Dial("pbx.example", listening, "the server")
    assert dial.waits_for is None
    with hanging_look_ups(monkeypatch):
        task = asyncio.create_task(dial.open())
        await asyncio.sleep(0)
        assert dial.waits_for == "the name servers for the server"
        task.cancel()
        await asyncio.wait([task])
    with black_hole("127.0.0.2") as port:
        for addresses, waits_for in (
            (["127.0.0.2"], "the server"),
            (["127.0.0.2"] * 2, "any of 2 addresses of the server"),
        ):
            host = f"pbx{len(addresses)}.example"
            resolve_to(monkeypatch, *addresses, host=host)
            dial = Dial(host, port, "the server")
            task = asyncio.create_task(dial.open())
            await eventually(lambda: dial.waits_for == waits_for)  # noqa: B023 - awaited at once
            task.cancel()
            await asyncio.wait([task])
    dial = Dial("127.0.0.1", listening, "the server")
    with await dial.open():
        assert dial.waits_for is None


@pytest.mark.parametrize(
    ("addresses", "text"),
    [
        (["127.0.0.1"], "the server (127.0.0.1, port {port}): {refused}"),
        (["127.0.0.1", "127.0.0.2"], "none of 2 addresses of the server can be reached; "),
    ],
)
async def test_dial_names_the_host_that_refuses(monkeypatch, addresses, text):
    port = free_port()
    resolve_to(monkeypatch, *addresses, host="pbx.example")
    with pytest.raises(UnreachableHostError) as caught:
        await Dial("pbx.example", port, "the server").open()
    assert text.format(port=port, refused=REFUSED) in str(caught.value)


async def test_dial_names_an_address_once():
    port = free_port()
    with pytest.raises(UnreachableHostError) as caught:
        await Dial("127.0.0.1", port, "127.0.0.1").open()
    assert str(caught.value) == f"127.0.0.1, port {port}: {REFUSED}"


async def test_found_address_is_one_that_answers(monkeypatch, listening):
    resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1", host="proxy.example")
    assert await Dial("proxy.example", listening, "the proxy").find_address() == "127.0.0.1"


async def test_only_address_is_found_without_a_connection():
    assert await Dial("192.0.2.1", 80, "the proxy").find_address() == "192.0.2.1"


@pytest.fixture(autouse=True)
def _no_socket_is_left_open():
    """Let a socket that was not closed fail the test that left it."""
    yield
    gc.collect()
