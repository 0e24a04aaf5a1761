from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from support.virtual_clock import run
from support.waiting import eventually

from basix_ws_cti.simulator.faulty_transport import FaultyTransport


class Transport:
    """What a pipe writes to; it remembers what was done to it, in order."""

    def __init__(self, *, eof: bool = True) -> None:
        self.done: list = []
        self.closing = False
        self.eof = eof
        self.buffered = 0

    def write(self, data: bytes) -> None:
        assert not self.closing
        self.done.append(bytes(data))

    def close(self) -> None:
        self.closing = True
        self.done.append("close")

    def abort(self) -> None:
        self.closing = True
        self.done.append("abort")

    def write_eof(self) -> None:
        self.done.append("eof")

    def can_write_eof(self) -> bool:
        return self.eof

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def get_extra_info(self, name: str):
        return self if name == "socket" else None

    def setsockopt(self, *option) -> None:
        self.done.append(option)


async def test_plain():
    """A pipe to which nothing was done writes at once, and closes at once."""
    transport = Transport()
    pipe = FaultyTransport(transport)
    pipe.write(b"one")
    pipe.write(memoryview(b"two"))
    pipe.close()
    assert transport.done == [b"one", b"two", "close"]


async def test_the_rest_is_the_transports():
    """What a pipe does not do itself, the transport does; an unknown name is an AttributeError."""
    transport = Transport()
    pipe = FaultyTransport(transport)
    assert pipe.get_extra_info("socket") is transport
    assert pipe.is_closing() is False
    pipe.abort()
    assert transport.done == ["abort"]
    with pytest.raises(AttributeError, match="pipe_organ"):
        _ = pipe.pipe_organ


async def test_an_end_of_file_of_the_connections_own_does_nothing():
    """Whoever writes to a pipe can't half-close it: that is what faults are for."""
    transport = Transport()
    pipe = FaultyTransport(transport)
    assert pipe.can_write_eof() is False
    pipe.write_eof()
    assert transport.done == []


async def test_split():
    """A split pipe writes pieces of the size, in order; with 0 the rest goes at once."""
    transport = Transport()
    pipe = FaultyTransport(transport)
    pipe.split(2)
    pipe.write(b"abc")
    pipe.write(b"de")
    assert transport.done == []
    await eventually(lambda: len(transport.done) == 3)
    assert transport.done == [b"ab", b"cd", b"e"]
    pipe.write(b"0123456789")
    pipe.split(0)
    pipe.write(b"!")  # what comes later waits for what is held
    await eventually(lambda: len(transport.done) == 4)
    pipe.write(b"plain")
    assert transport.done[3:] == [b"0123456789!", b"plain"]


def test_coalesce():
    """A coalescing pipe writes together what was written apart; with 0 it writes at once."""

    async def main():
        transport = Transport()
        pipe = FaultyTransport(transport)
        pipe.coalesce(0.05)
        for letter in b"abc":
            pipe.write(bytes([letter]))
            await asyncio.sleep(0.01)
        assert transport.done == []
        await eventually(lambda: transport.done)
        pipe.write(b"d")
        assert transport.done == [b"abc"]
        await eventually(lambda: len(transport.done) == 2)
        pipe.coalesce(0)
        pipe.write(b"e")
        assert transport.done == [b"abc", b"d", b"e"]

    run(main())


async def test_coalesce_and_split():
    """Both together: after the time, one piece after the other."""
    transport = Transport()
    pipe = FaultyTransport(transport)
    pipe.coalesce(0.05)
    pipe.split(3)
    pipe.write(b"abcd")
    pipe.write(b"ef")
    assert transport.done == []
    await eventually(lambda: len(transport.done) == 2)
    assert transport.done == [b"abc", b"def"]


def test_stall():
    """A stalled pipe holds everything back for its time, and is plain afterwards."""

    async def main():
        transport = Transport()
        pipe = FaultyTransport(transport)
        pipe.stall(0.05)
        pipe.write(b"a")
        pipe.write(b"b")
        await asyncio.sleep(0.04)
        assert transport.done == []
        await eventually(lambda: transport.done)
        pipe.write(b"c")
        assert transport.done == [b"ab", b"c"]

    run(main())


async def test_a_stall_without_a_word():
    """A stall during which nobody writes ends without a trace."""
    transport = Transport()
    pipe = FaultyTransport(transport)
    pipe.stall(0.01)
    await eventually(lambda: pipe._timer is None)
    pipe.write(b"a")
    assert transport.done == [b""] * (len(transport.done) - 1) + [b"a"]


async def test_a_stall_holds_up_what_was_held_already():
    """What a split pipe still holds waits too; the later of two stalls counts."""
    transport = Transport()
    pipe = FaultyTransport(transport)
    pipe.split(1)
    pipe.write(b"ab")
    pipe.stall(60)
    await asyncio.sleep(0.02)
    assert transport.done == []
    pipe.stall(0.02)
    await eventually(lambda: len(transport.done) == 2)
    assert transport.done == [b"a", b"b"]


async def test_what_is_held_is_written_before_the_close():
    """Closing a pipe that holds something back closes it after that, and once."""
    transport = Transport()
    pipe = FaultyTransport(transport)
    pipe.split(2)
    pipe.write(b"abc")
    pipe.close()
    assert transport.done == []
    await eventually(lambda: transport.closing)
    await asyncio.sleep(0.01)
    assert transport.done == [b"ab", b"c", "close"]


async def test_silence():
    """What is written to a silent pipe, or held back by it, is lost; closing still works."""
    transport = Transport()
    pipe = FaultyTransport(transport)
    pipe.stall(0.02)
    pipe.write(b"held")
    pipe.go_silent()
    pipe.write(b"lost")
    await eventually(lambda: pipe._timer is None)
    assert transport.done == []
    pipe.close()
    assert transport.done == ["close"]


async def test_drop():
    """A dropped pipe closes at once: what is held back does not go out any more."""
    transport = Transport()
    pipe = FaultyTransport(transport)
    pipe.stall(0.02)
    pipe.write(b"held")
    pipe.drop()
    pipe.write(b"later")
    await eventually(lambda: pipe._timer is None)
    assert transport.done == ["close"]


async def test_what_is_held_when_the_transport_is_gone():
    """A transport that closed by itself is not written to, as that would be a warning."""
    transport = Transport()
    pipe = FaultyTransport(transport)
    pipe.stall(0.02)
    pipe.write(b"held")
    pipe.abort()
    await eventually(lambda: pipe._timer is None)
    assert transport.done == ["abort"]


async def test_reset():
    """A reset sets SO_LINGER to zero seconds, which makes the close an RST, and aborts."""
    transport = Transport()
    FaultyTransport(transport).reset()
    linger = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert transport.done == [linger, "abort"]


async def test_half_close():
    """A half-closed pipe has said EOF, and is silent but open."""
    transport = Transport()
    pipe = FaultyTransport(transport)
    pipe.half_close()
    pipe.write(b"lost")
    assert transport.done == ["eof"]
    assert pipe.is_closing() is False


async def test_half_close_where_there_is_no_half():
    """A transport that can't be half-closed, as those of TLS, is closed."""
    transport = Transport(eof=False)
    pipe = FaultyTransport(transport)
    pipe.half_close()
    pipe.write(b"lost")
    assert transport.done == ["close"]


async def test_drop_with_something_to_write():
    """A connection whose peer does not read what was written is cut off, not waited for."""
    transport = Transport()
    transport.buffered = 1
    FaultyTransport(transport).drop()
    assert transport.done == ["abort"]


async def test_what_is_held_back_is_bounded(monkeypatch):
    """A connection for which too much is held back is cut off."""
    monkeypatch.setattr("basix_ws_cti.simulator.faulty_transport.MAX_HELD", 10)
    transport = Transport()
    pipe = FaultyTransport(transport)
    pipe.stall(60)
    pipe.write(b"x" * 10)
    assert transport.done == []
    pipe.write(b"x")
    assert transport.done == ["abort"]
