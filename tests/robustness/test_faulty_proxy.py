"""TCP proxy that imitates the faults of bad networks."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from support.faulty_proxy import FAULTS, Proxy

MESSAGE = bytes(range(256)) * 4


@contextlib.asynccontextmanager
async def connections(count=1, seed=0):
    """Yield a proxy, then the streams of both ends of each of ``count`` connections through it."""
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


async def connect_and_leave(proxy):
    """Open and close a connection; return the bytes that arrived."""
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
    """Read ``total`` bytes; return the sizes of the chunks, and the bytes."""
    chunk_sizes, data = [], b""
    while len(data) < total:
        piece = await reader.read(1 << 16)
        assert piece
        chunk_sizes.append(len(piece))
        data += piece
    return chunk_sizes, data


async def test_proxy_without_faults_forwards_every_byte():
    """Both directions forward every byte, and the end of one leaves the other open."""
    async with connections() as (proxy, (reader, writer), (server_reader, server_writer)):
        writer.write(MESSAGE * 1000)
        writer.write_eof()
        assert await server_reader.read() == MESSAGE * 1000
        server_writer.write(MESSAGE)
        server_writer.close()
        assert await reader.read() == MESSAGE
        assert proxy.counts == {"links": 1}
        while proxy.links:
            await asyncio.sleep(0)


async def test_proxy_without_server_closes_connections():
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
    async with Proxy(port) as proxy:
        assert await connect_and_leave(proxy) == b""
        assert proxy.counts == {}


async def test_split_delivers_single_bytes():
    """A late reader may get a few bytes at once."""
    async with connections() as (proxy, (_, writer), (reader, _)):
        (link,) = proxy.links
        link.inject("split", link.up)
        writer.write(MESSAGE)
        chunk_sizes, data = await sizes(reader, len(MESSAGE))
        assert data == MESSAGE
        assert max(chunk_sizes) <= 4


@pytest.mark.parametrize("fault", ["delay", "throttle"])
async def test_delay_and_throttle_lose_no_bytes_and_can_be_healed(fault):
    async with connections() as (proxy, (reader, _), (_, writer)):
        (link,) = proxy.links
        loop = asyncio.get_running_loop()
        link.inject(fault, link.down)
        link.down.delay, link.down.rate = (0.2, 0) if fault == "delay" else (0.0, 5000)
        began = loop.time()
        writer.write(MESSAGE)
        assert (await sizes(reader, len(MESSAGE)))[1] == MESSAGE
        assert loop.time() - began >= 0.19
        link.down.heal()
        writer.write(MESSAGE)
        assert (await sizes(reader, len(MESSAGE)))[1] == MESSAGE
        assert (link.down.delay, link.down.rate) == (0, 0)


async def test_stall_stops_the_link_in_the_middle_of_a_chunk():
    async with connections() as (proxy, (reader, _), (_, writer)):
        (link,) = proxy.links
        link.inject("stall", link.down)
        link.down.stall = 0.1
        began = asyncio.get_running_loop().time()
        writer.write(MESSAGE)
        chunk_sizes, data = await sizes(reader, len(MESSAGE))
        assert data == MESSAGE
        assert chunk_sizes[0] == len(MESSAGE) // 2
        assert asyncio.get_running_loop().time() - began >= 0.09
        assert link.down.stall == 0


async def test_corrupt_changes_one_bit_in_each_of_the_next_chunks():
    async with connections() as (proxy, (_, writer), (reader, _)):
        (link,) = proxy.links
        link.inject("corrupt", link.up)
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


async def test_truncate_delivers_the_next_bytes_and_cuts_the_link():
    async with connections() as (proxy, (reader, _), (server_reader, server_writer)):
        (link,) = proxy.links
        link.inject("truncate", link.down)
        link.down.remaining = 300
        server_writer.write(MESSAGE)
        assert await reader.read() == MESSAGE[:300]
        assert await server_reader.read() == b""
        while proxy.links:
            await asyncio.sleep(0)


async def test_black_hole_drops_everything_until_one_side_closes():
    async with connections() as (proxy, (reader, writer), (server_reader, server_writer)):
        (link,) = proxy.links
        link.inject("black hole")
        writer.write(MESSAGE)
        server_writer.write(MESSAGE)
        for one in (reader, server_reader):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(one.read(1), 0.05)
        assert [*proxy.links] == [link]
        writer.close()
        assert await server_reader.read() == b""


async def test_half_close_ends_one_direction():
    """Bytes written in that direction are lost; the other direction still works."""
    async with connections() as (proxy, (reader, writer), (server_reader, server_writer)):
        (link,) = proxy.links
        link.inject("half-close", link.up)
        assert await server_reader.read() == b""
        writer.write(MESSAGE)
        server_writer.write(MESSAGE)
        assert (await sizes(reader, len(MESSAGE)))[1] == MESSAGE
        assert [*proxy.links] == [link]


async def test_drop_sends_fin_and_reset_sends_rst_to_both_sides():
    async with connections(2) as (proxy, (one, _), (two, _), (three, _), (four, _)):
        dropped, reset = proxy.links
        dropped.inject("drop")
        reset.inject("reset")
        assert await one.read() == await two.read() == b""
        for reader in (three, four):
            with pytest.raises(ConnectionResetError):
                await reader.read()


async def test_on_link_runs_before_the_first_byte():
    """A fault can be injected there; the name of an unknown fault is an error."""
    async with connections() as (proxy, *_):
        (link,) = proxy.links
        proxy.on_link = lambda link: link.inject("drop")
        assert await connect_and_leave(proxy) == b""
        assert proxy.counts["drop"] == 1
        with pytest.raises(ValueError, match="rain"):
            link.inject("rain")


async def faults_of_storm(seed):
    """Return the first faults that a storm injects into silent links, in order."""
    injected = []
    async with connections(3, seed) as (proxy, *_):
        for link in proxy.links:
            link.inject = lambda fault, link=link: injected.append(fault)
        storm = asyncio.create_task(proxy.storm(0.0001))
        while len(injected) < 200:
            await asyncio.sleep(0)
        storm.cancel()
        await asyncio.wait([storm])
    return injected[:200]


async def test_seed_determines_the_faults_of_a_storm():
    """The same seed injects the same faults, another seed other ones; all faults occur."""
    first, again, other = [await faults_of_storm(seed) for seed in (1, 1, 2)]
    assert first == again != other
    assert set(first) == set(FAULTS)


async def test_links_are_healed_after_a_storm():
    """When a storm ends, no link is slow any more, and new links get no faults."""
    async with connections(2) as (proxy, *_):
        storm = asyncio.create_task(proxy.storm(0.001, ["delay", "split", "throttle"]))
        while not {"delay", "split", "throttle"} <= {*proxy.counts}:
            await asyncio.sleep(0)
        storm.cancel()
        await asyncio.wait([storm])
        for link in proxy.links:
            for direction in (link.up, link.down):
                assert (direction.delay, direction.rate, direction.piece) == (0, 0, 1 << 16)
        counts = dict(proxy.counts)
        proxy.on_link(None)
        assert proxy.counts == counts
