"""A transport that delays, splits, drops or resets what is written to it."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from support.virtual_clock import on_virtual_clock
from support.waiting import eventually

from basix_ws_cti.simulator.faulty_transport import FaultyTransport


class RecordingTransport:
    """Transport that records the calls of its methods, in order."""

    def __init__(self, *, can_eof: bool = True) -> None:
        self.calls: list = []
        self.closing = False
        self.can_eof = can_eof
        self.buffered = 0

    def write(self, data: bytes) -> None:
        assert not self.closing
        self.calls.append(bytes(data))

    def close(self) -> None:
        self.closing = True
        self.calls.append("close")

    def abort(self) -> None:
        self.closing = True
        self.calls.append("abort")

    def write_eof(self) -> None:
        self.calls.append("eof")

    def can_write_eof(self) -> bool:
        return self.can_eof

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def get_extra_info(self, name: str):
        return self if name == "socket" else None

    def setsockopt(self, *option) -> None:
        self.calls.append(option)


async def test_without_faults_writes_and_closes_at_once():
    transport = RecordingTransport()
    faulty = FaultyTransport(transport)
    faulty.write(b"one")
    faulty.write(memoryview(b"two"))
    faulty.close()
    assert transport.calls == [b"one", b"two", "close"]


async def test_other_methods_are_the_transports():
    """An unknown name is an AttributeError."""
    transport = RecordingTransport()
    faulty = FaultyTransport(transport)
    assert faulty.get_extra_info("socket") is transport
    assert faulty.is_closing() is False
    faulty.abort()
    assert transport.calls == ["abort"]
    with pytest.raises(AttributeError, match="unknown_name"):
        _ = faulty.unknown_name


async def test_write_eof_does_nothing():
    """Only a fault can half-close the connection."""
    transport = RecordingTransport()
    faulty = FaultyTransport(transport)
    assert faulty.can_write_eof() is False
    faulty.write_eof()
    assert transport.calls == []


async def test_split_writes_pieces_in_order():
    """A size of 0 ends the fault: the held data is written at once."""
    transport = RecordingTransport()
    faulty = FaultyTransport(transport)
    faulty.split(2)
    faulty.write(b"abc")
    faulty.write(b"de")
    assert transport.calls == []
    await eventually(lambda: len(transport.calls) == 3)
    assert transport.calls == [b"ab", b"cd", b"e"]
    faulty.write(b"0123456789")
    faulty.split(0)
    faulty.write(b"!")  # Later data waits for the data that is held.
    await eventually(lambda: len(transport.calls) == 4)
    faulty.write(b"plain")
    assert transport.calls[3:] == [b"0123456789!", b"plain"]


@on_virtual_clock
async def test_coalesce_joins_writes():
    """A time of 0 ends the fault."""
    transport = RecordingTransport()
    faulty = FaultyTransport(transport)
    faulty.coalesce(0.05)
    for letter in b"abc":
        faulty.write(bytes([letter]))
        await asyncio.sleep(0.01)
    assert transport.calls == []
    await eventually(lambda: transport.calls)
    faulty.write(b"d")
    assert transport.calls == [b"abc"]
    await eventually(lambda: len(transport.calls) == 2)
    faulty.coalesce(0)
    faulty.write(b"e")
    assert transport.calls == [b"abc", b"d", b"e"]


async def test_coalesce_with_split_writes_pieces_after_the_delay():
    transport = RecordingTransport()
    faulty = FaultyTransport(transport)
    faulty.coalesce(0.05)
    faulty.split(3)
    faulty.write(b"abcd")
    faulty.write(b"ef")
    assert transport.calls == []
    await eventually(lambda: len(transport.calls) == 2)
    assert transport.calls == [b"abc", b"def"]


@on_virtual_clock
async def test_stall_holds_data_for_its_time():

    transport = RecordingTransport()
    faulty = FaultyTransport(transport)
    faulty.stall(0.05)
    faulty.write(b"a")
    faulty.write(b"b")
    await asyncio.sleep(0.04)
    assert transport.calls == []
    await eventually(lambda: transport.calls)
    faulty.write(b"c")
    assert transport.calls == [b"ab", b"c"]


async def test_stall_without_writes_has_no_effect():
    transport = RecordingTransport()
    faulty = FaultyTransport(transport)
    faulty.stall(0.01)
    await eventually(lambda: not faulty.is_delaying)
    faulty.write(b"a")
    assert transport.calls == [b""] * (len(transport.calls) - 1) + [b"a"]


async def test_stall_holds_data_that_was_already_held():
    """The later of two stalls counts."""
    transport = RecordingTransport()
    faulty = FaultyTransport(transport)
    faulty.split(1)
    faulty.write(b"ab")
    faulty.stall(60)
    await asyncio.sleep(0.02)
    assert transport.calls == []
    faulty.stall(0.02)
    await eventually(lambda: len(transport.calls) == 2)
    assert transport.calls == [b"a", b"b"]


async def test_held_data_is_written_before_the_close():
    """The transport is closed once."""
    transport = RecordingTransport()
    faulty = FaultyTransport(transport)
    faulty.split(2)
    faulty.write(b"abc")
    faulty.close()
    assert transport.calls == []
    await eventually(lambda: transport.closing)
    await asyncio.sleep(0.01)
    assert transport.calls == [b"ab", b"c", "close"]


async def test_silence_loses_held_and_later_data():
    """Closing still works."""
    transport = RecordingTransport()
    faulty = FaultyTransport(transport)
    faulty.stall(0.02)
    faulty.write(b"held")
    faulty.go_silent()
    faulty.write(b"lost")
    await eventually(lambda: not faulty.is_delaying)
    assert transport.calls == []
    faulty.close()
    assert transport.calls == ["close"]


async def test_drop_closes_at_once_without_held_data():
    transport = RecordingTransport()
    faulty = FaultyTransport(transport)
    faulty.stall(0.02)
    faulty.write(b"held")
    faulty.drop()
    faulty.write(b"later")
    await eventually(lambda: not faulty.is_delaying)
    assert transport.calls == ["close"]


async def test_held_data_is_not_written_to_a_closed_transport():
    """Such a write would log a warning."""
    transport = RecordingTransport()
    faulty = FaultyTransport(transport)
    faulty.stall(0.02)
    faulty.write(b"held")
    faulty.abort()
    await eventually(lambda: not faulty.is_delaying)
    assert transport.calls == ["abort"]


async def test_reset_sets_linger_to_zero_and_aborts():
    """SO_LINGER with zero seconds makes the close an RST."""
    transport = RecordingTransport()
    FaultyTransport(transport).reset()
    linger = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert transport.calls == [linger, "abort"]


async def test_half_close_writes_eof_and_stays_open():
    """Later data is lost."""
    transport = RecordingTransport()
    faulty = FaultyTransport(transport)
    faulty.half_close()
    faulty.write(b"lost")
    assert transport.calls == ["eof"]
    assert faulty.is_closing() is False


async def test_half_close_closes_a_transport_without_eof():
    """A TLS transport cannot be half-closed."""
    transport = RecordingTransport(can_eof=False)
    faulty = FaultyTransport(transport)
    faulty.half_close()
    faulty.write(b"lost")
    assert transport.calls == ["close"]


async def test_drop_aborts_if_data_is_unsent():
    """It does not wait for a peer that does not read."""
    transport = RecordingTransport()
    transport.buffered = 1
    FaultyTransport(transport).drop()
    assert transport.calls == ["abort"]


async def test_too_much_held_data_aborts_the_connection(monkeypatch):
    monkeypatch.setattr("basix_ws_cti.simulator.faulty_transport.MAX_HELD", 10)
    transport = RecordingTransport()
    faulty = FaultyTransport(transport)
    faulty.stall(60)
    faulty.write(b"x" * 10)
    assert transport.calls == []
    faulty.write(b"x")
    assert transport.calls == ["abort"]
