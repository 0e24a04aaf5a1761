"""Lines and bytes of streams that may be compressed, and errors of damaged data."""

from __future__ import annotations

import gzip
import io

import pytest

from basix_ws_cti.recording.compression import COMPRESSION_ERRORS, InputStream

LINES = [b"first\n", b"second\n", b"\x1f\x8b is no start here\n", b"last"]
TEXT = b"".join(LINES)


class Pipe:
    """Stream that gives a few bytes at a time, and counts how often it is asked for some."""

    def __init__(self, data):
        self._data = io.BytesIO(data)
        self.reads = 0

    def readline(self, size=-1):
        return self._data.readline(size)

    def read1(self, size):
        self.reads += 1
        return self._data.read(min(size, 10))


class LineReader:
    """Stream whose only method is ``readline``."""

    def __init__(self, data):
        self._data = io.BytesIO(data)

    def readline(self, size=-1):
        return self._data.readline(size)


def lines(stream, size=-1):
    return list(iter(lambda: stream.readline(size), b""))


@pytest.mark.parametrize("source", [io.BytesIO, Pipe, LineReader])
@pytest.mark.parametrize("data", [TEXT, gzip.compress(TEXT)], ids=["plain", "gzip"])
def test_lines_are_those_of_the_uncompressed_text(data, source):
    stream = InputStream(source(data))
    assert lines(stream) == LINES
    assert stream.bytes_read == len(data)


@pytest.mark.parametrize("data", [TEXT, gzip.compress(TEXT)], ids=["plain", "gzip"])
def test_lines_are_cut_at_the_size(data):
    assert lines(InputStream(io.BytesIO(data)), 5)[:3] == [b"first", b"\n", b"secon"]


@pytest.mark.parametrize("data", [TEXT, gzip.compress(TEXT)], ids=["plain", "gzip"])
def test_rest_can_be_read_at_once(data):
    stream = InputStream(io.BytesIO(data))
    stream.readline()
    assert stream.read() == TEXT.removeprefix(LINES[0])
    assert stream.read() == b""


def test_members_of_a_gzip_file_are_joined():
    data = b"".join(map(gzip.compress, LINES))
    assert InputStream(io.BytesIO(data)).read() == TEXT


def test_empty_stream_has_no_lines():
    stream = InputStream(io.BytesIO())
    assert stream.readline() == b""
    assert stream.bytes_read == 0


def test_pipe_is_read_only_as_far_as_a_line_needs():
    """A recording that another program is still writing can be followed."""
    start = gzip.compress(TEXT[:6], mtime=0)
    pipe = Pipe(start + gzip.compress(b"x" * 10_000))
    InputStream(pipe).readline()
    assert pipe.reads <= len(start) // 10 + 2


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:-9], id="cut off"),
        pytest.param(lambda data: data[:2], id="only the mark"),
        pytest.param(lambda data: data[:-8] + b"\0" * 8, id="wrong checksum"),
        pytest.param(lambda data: data[:10] + b"\xff" * 8 + data[18:], id="not deflated"),
    ],
)
def test_damaged_compressed_data_is_an_error(damage):
    stream = InputStream(io.BytesIO(damage(gzip.compress(TEXT))))
    with pytest.raises(COMPRESSION_ERRORS):
        lines(stream)
