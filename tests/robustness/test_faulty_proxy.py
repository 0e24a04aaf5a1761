from __future__ import annotations

import asyncio
import contextlib

import pytest
from support.faulty_proxy import FAULTS, Proxy

MESSAGE = bytes(range(256)) * 4


@contextlib.asynccontextmanager
async def lines(count=1, seed=0):
    """Connections through a proxy, as pairs of both ends' streams, and the links between."""
    arrived = asyncio.Queue()

    async def accept(*streams):
        arrived.put_nowait(streams)

    async with (
        await asyncio.start_server(accept, "127.0.0.1", 0) as server,
        Proxy(server.sockets[0].getsockname()[1], seed) as proxy,
    ):
        ends = []
        for _ in range(count):
            client = await asyncio.open_connection("127.0.0.1", proxy.port)
            ends += [client, await arrived.get()]
        while len(proxy.links) < count:
            await asyncio.sleep(0)
        yield proxy, *ends
        while not arrived.empty():
            ends.append(arrived.get_nowait())
        for _, writer in ends:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def knock(proxy):
    """Connect and be gone again; what came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write_eof()
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


async def sizes(reader, total):
    """How many bytes came at once, until there were so many; and the bytes."""
    seen, data = [], b""
    while len(data) < total:
        piece = await reader.read(1 << 16)
        assert piece
        seen.append(len(piece))
        data += piece
    return seen, data


async def test_without_a_fault_it_is_a_wire():
    """Both ways pass on every byte, and the end of one leaves the other open."""
    async with lines() as (proxy, (reader, writer), (their_reader, their_writer)):
        writer.write(MESSAGE * 1000)
        writer.write_eof()
        assert await their_reader.read() == MESSAGE * 1000
        their_writer.write(MESSAGE)
        their_writer.close()
        assert await reader.read() == MESSAGE
        assert proxy.counts == {"links": 1}
        while proxy.links:
            await asyncio.sleep(0)


async def test_nobody_behind_it():
    """Where nobody listens behind it, who connects is cut off."""
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
    async with Proxy(port) as proxy:
        assert await knock(proxy) == b""
        assert proxy.counts == {}


async def test_split():
    """A split way brings all of what is sent, byte by byte (a reader may be a turn late)."""
    async with lines() as (proxy, (_, writer), (reader, _)):
        (link,) = proxy.links
        link.strike("split", link.up)
        writer.write(MESSAGE)
        seen, data = await sizes(reader, len(MESSAGE))
        assert data == MESSAGE
        assert max(seen) <= 4


@pytest.mark.parametrize("fault", ["delay", "throttle"])
async def test_what_comes_late(fault):
    """A delay or a throttled way loses nothing, takes its time, and can be healed."""
    async with lines() as (proxy, (reader, _), (_, writer)):
        (link,) = proxy.links
        loop = asyncio.get_running_loop()
        link.strike(fault, link.down)
        link.down.delay, link.down.rate = (0.2, 0) if fault == "delay" else (0.0, 5000)
        began = loop.time()
        writer.write(MESSAGE)
        assert (await sizes(reader, len(MESSAGE)))[1] == MESSAGE
        assert loop.time() - began >= 0.19
        link.down.heal()
        writer.write(MESSAGE)
        assert (await sizes(reader, len(MESSAGE)))[1] == MESSAGE
        assert (link.down.delay, link.down.rate) == (0, 0)


async def test_corrupt():
    """A corrupted way changes one bit in each of the next chunks, says so, and then none."""
    async with lines() as (proxy, (_, writer), (reader, _)):
        (link,) = proxy.links
        link.strike("corrupt", link.up)
        link.up.flips = 2
        changed = []
        for _ in range(4):
            writer.write(MESSAGE)
            _, data = await sizes(reader, len(MESSAGE))
            changed.append(
                [(a ^ b).bit_count() for a, b in zip(data, MESSAGE, strict=True) if a != b]
            )
        assert changed == [[1], [1], [], []]
        assert link.is_corrupted


async def test_truncate():
    """A truncated way brings the beginning of what is next, and the link is cut."""
    async with lines() as (proxy, (reader, _), (their_reader, their_writer)):
        (link,) = proxy.links
        link.strike("truncate", link.down)
        link.down.remaining = 300
        their_writer.write(MESSAGE)
        assert await reader.read() == MESSAGE[:300]
        assert await their_reader.read() == b""
        while proxy.links:
            await asyncio.sleep(0)


async def test_black_hole():
    """In a black hole both ways lose everything, the link stays, until one side goes."""
    async with lines() as (proxy, (reader, writer), (their_reader, their_writer)):
        (link,) = proxy.links
        link.strike("black hole")
        writer.write(MESSAGE)
        their_writer.write(MESSAGE)
        for one in (reader, their_reader):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(one.read(1), 0.05)
        assert [*proxy.links] == [link]
        writer.close()
        assert await their_reader.read() == b""


async def test_half_close():
    """A half-closed way ends on one side, what is written to it is lost, the other goes on."""
    async with lines() as (proxy, (reader, writer), (their_reader, their_writer)):
        (link,) = proxy.links
        link.strike("half-close", link.up)
        assert await their_reader.read() == b""
        writer.write(MESSAGE)
        their_writer.write(MESSAGE)
        assert (await sizes(reader, len(MESSAGE)))[1] == MESSAGE
        assert [*proxy.links] == [link]


async def test_drop_and_reset():
    """A dropped link ends with FIN on both sides, one that is reset with RST on both."""
    async with lines(2) as (proxy, (one, _), (two, _), (three, _), (four, _)):
        dropped, reset = proxy.links
        dropped.strike("drop")
        reset.strike("reset")
        assert await one.read() == await two.read() == b""
        for reader in (three, four):
            with pytest.raises(ConnectionResetError):
                await reader.read()


async def test_new_links_are_greeted():
    """A fault may strike a link before its first byte; what is no fault is an error."""
    async with lines() as (proxy, *_):
        (link,) = proxy.links
        proxy.greet = lambda link: link.strike("drop")
        assert await knock(proxy) == b""
        assert proxy.counts["drop"] == 1
        with pytest.raises(ValueError, match="rain"):
            link.strike("rain")


async def struck(seed):
    """What a storm does to links that stay silent, in its order."""
    seen = []
    async with lines(3, seed) as (proxy, *_):
        for link in proxy.links:
            link.strike = lambda fault, link=link: seen.append(fault)
        storm = asyncio.create_task(proxy.storm(0.0001))
        while len(seen) < 200:
            await asyncio.sleep(0)
        storm.cancel()
        await asyncio.wait([storm])
    return seen[:200]


async def test_a_storm_is_of_its_seed():
    """The same seed strikes with the same faults, another one with others, and none is left out."""
    first, again, other = [await struck(seed) for seed in (1, 1, 2)]
    assert first == again != other
    assert set(first) == set(FAULTS)


async def test_after_the_storm():
    """When a storm ends, nothing is slow any more and nobody is greeted with a fault."""
    async with lines(2) as (proxy, *_):
        storm = asyncio.create_task(proxy.storm(0.001, ["delay", "split", "throttle"]))
        while not {"delay", "split", "throttle"} <= {*proxy.counts}:
            await asyncio.sleep(0)
        storm.cancel()
        await asyncio.wait([storm])
        for link in proxy.links:
            for way in (link.up, link.down):
                assert (way.delay, way.rate, way.piece) == (0, 0, 1 << 16)
        counts = dict(proxy.counts)
        proxy.greet(None)
        assert proxy.counts == counts
