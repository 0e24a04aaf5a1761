"""Recordings on disk: writing, reading, damage."""

from __future__ import annotations

import errno
import gzip
import io
import itertools
import json
import os
import stat
import sys
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from unittest import mock

import pytest
from support.cases import for_each

from basix_ws_cti import ConnectionLost, RecordingError, UsageError
from basix_ws_cti.recording import (
    Anonymiser,
    Connected,
    Frame,
    Header,
    LeftOut,
    Lost,
    Recorder,
    read_recording,
)
from basix_ws_cti.session.status import Connecting, Disconnected, Stopped, Synced, Syncing

STARTED = datetime(2026, 1, 31, 9, tzinfo=UTC)
HELLO = b"\x83h\x02d\x00\x03msgm\x00\x00\x00\x05hello"

ENTRIES = [
    Connected(0.25),
    Frame(0.5, HELLO),
    Frame(0.5, b""),
    Frame(1, "text \u3042"),
    Lost(1.5, "ConnectionLost", "the connection was lost (close code 1006)"),
    Lost(1.5, "ValueError", None),
    Lost(1.75, "ConnectionLost", "", 0.333333),
    Connected(2),
    LeftOut(3.000001, 70),
    Frame(3.5, bytes(range(256))),
]


def write_entries(target, entries=ENTRIES, **options):
    """Write a recording with these entries, and return its target."""
    clock = itertools.repeat(0.0).__next__
    with Recorder(target, started=STARTED, clock=clock, **options) as recorder:
        for entry in entries:
            recorder.write(entry)
    return target


def lines(path):
    return path.read_text(encoding="ascii").splitlines(keepends=True)


@pytest.mark.parametrize("name", ["day.rec", "day.rec.gz"])
def test_entries_are_read_back_as_written(tmp_path, name):
    path = write_entries(tmp_path / name)
    with read_recording(path) as recording:
        assert recording.header == Header(STARTED, anonymised=False)
        assert list(recording) == ENTRIES
        assert recording.moment(ENTRIES[-1]) == STARTED + timedelta(seconds=3.5)
    with read_recording(str(path)) as recording:
        assert list(recording) == ENTRIES
        assert list(recording) == []


def test_lines_have_the_documented_format(tmp_path):
    objects = [json.loads(line) for line in lines(write_entries(tmp_path / "day.rec"))]
    assert objects[:3] == [
        {
            "format": "basix_ws_cti recording",
            "version": 1,
            "started": "2026-01-31T09:00:00.000000+00:00",
            "anonymised": False,
        },
        {"at": 0.25, "event": "connected"},
        {"at": 0.5, "frame": "g2gCZAADbXNnbQAAAAVoZWxsbw=="},
    ]
    assert objects[-1] == {"at": 3.5, "event": "end", "frames": 5}


def test_live_entries_have_the_times_of_the_clock(tmp_path):
    """The recorder counts frames and their bytes."""
    clock = itertools.count(100, 0.5).__next__
    recorder = Recorder(tmp_path / "day.rec", clock=clock)
    recorder.connected()
    recorder(HELLO)
    recorder("a")
    recorder.lost(ConnectionLost(1001, "bye"))
    recorder.close()
    recorder.close()
    assert (recorder.frames, recorder.size) == (2, len(HELLO) + 1)
    with read_recording(tmp_path / "day.rec") as recording:
        assert recording.header.started <= datetime.now(UTC)
        assert list(recording) == [
            Connected(0.5),
            Frame(1, HELLO),
            Frame(1.5, "a"),
            Lost(2, "ConnectionLost", "the connection was lost (close code 1001): bye"),
        ]


def test_loss_is_recorded_once_without_texts_of_other_packages(tmp_path):
    """Of an error of another package only the class name is recorded."""
    recorder = Recorder(tmp_path / "day.rec")
    recorder.lost(ConnectionLost(1006))
    recorder.connected()
    recorder.lost(None)
    recorder.lost(ValueError("password"))
    recorder.lost(ConnectionLost(1006))
    recorder.close()
    text = (tmp_path / "day.rec").read_text()
    assert text.count("lost") == 1
    assert "password" not in text
    assert "ValueError" in text


def test_states_record_a_loss_once_the_connection_is_closed(tmp_path):
    """Frames that were read after a loss was noticed are recorded before the loss."""
    started = datetime(2026, 1, 31, 9, tzinfo=UTC)
    lost = ConnectionLost(1006)
    heard = started + timedelta(seconds=1.25)
    clock = itertools.count(100).__next__
    with Recorder(tmp_path / "day.rec", started=started, clock=clock) as recorder:
        recorder.on_state(Connecting(1))
        recorder.on_state(Disconnected(lost, 1.0))  # a failed attempt is no loss
        recorder.on_state(Syncing())
        recorder.on_state(Synced())
        recorder.on_state(Disconnected(lost, None, last_heard=heard))
        recorder(HELLO)
        recorder.on_state(Disconnected(lost, 1.0))
        recorder.on_state(Syncing())
        recorder.on_state(Stopped(lost))
        recorder.on_state(Stopped(None))
    with read_recording(tmp_path / "day.rec") as recording:
        assert [*recording] == [
            Connected(1),
            Frame(2, HELLO),
            Lost(3, "ConnectionLost", str(lost), 1.25),
            Connected(4),
            Lost(5, "ConnectionLost", str(lost)),
        ]


@pytest.mark.parametrize(
    ("seconds", "last_heard"),
    [(None, None), (5, 5), (4.75, 4.75), (0, 0), (-0.001, 0), (-1e6, 0), (5.001, 5)],
)
def test_last_heard_is_limited_to_the_recording(tmp_path, seconds, last_heard):
    """``last_heard`` is stored in seconds since the start, from 0 to the time of the loss."""
    started = datetime(2026, 1, 31, 9, tzinfo=UTC)
    clock = itertools.chain([100, 101], itertools.repeat(105)).__next__
    with Recorder(tmp_path / "day.rec", started=started, clock=clock) as recorder:
        recorder.connected()
        moment = None if seconds is None else started + timedelta(seconds=seconds)
        recorder.lost(ConnectionLost(1006), moment)
    with read_recording(tmp_path / "day.rec") as recording:
        assert [*recording][1].last_heard == last_heard


def test_last_heard_is_read_back(tmp_path):
    """``last_heard`` is read from the start of the recording up to ``at``; ``None`` if missing."""
    entries = [Lost(2, "A", None, 0), Lost(2, "A", None, 1.25), Lost(2, "A", None, 2), Lost(2, "A")]
    path = write_entries(tmp_path / "day.rec", entries)
    assert [json.loads(line).get("last_heard", "missing") for line in lines(path)[1:-1]] == [
        *(0, 1.25, 2, "missing")
    ]
    path.write_text(path.read_text().replace('"text":null}', '"text":null,"last_heard":null}'))
    with read_recording(path) as recording:
        assert list(recording) == entries


def test_anonymising_keeps_last_heard(tmp_path):
    """An anonymised recording keeps ``last_heard`` of a lost connection."""
    entry = Lost(2, "ConnectionLost", "secret", 1.5)
    path = write_entries(tmp_path / "day.rec", [entry], anonymiser=Anonymiser(b"key"))
    with read_recording(path) as recording:
        assert list(recording) == [Lost(2, "ConnectionLost", None, 1.5)]


def test_each_line_is_flushed_at_once(tmp_path):
    """This applies to compressed files, too."""
    for name in ("day.rec", "day.rec.gz"):
        recorder = Recorder(tmp_path / name)
        recorder(HELLO)
        with read_recording(tmp_path / name) as recording:
            assert next(recording).data == HELLO
            with pytest.raises(RecordingError, match="incomplete"):
                next(recording)
        recorder.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX file modes")
def test_file_is_readable_by_its_owner_only(tmp_path):
    """An overwritten file loses its wider permissions."""
    path = tmp_path / "day.rec"
    before = os.umask(0)
    try:
        write_entries(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
        write_entries(path, overwrite=True)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_existing_file_is_not_replaced_by_default(tmp_path):
    """``overwrite=True`` replaces its complete content."""
    path = tmp_path / "day.rec"
    path.write_text("~" * 100_000)
    with pytest.raises(FileExistsError):
        write_entries(path)
    assert path.read_text() == "~" * 100_000
    write_entries(path, overwrite=True)
    assert "~" not in path.read_text()


def test_open_files_are_used_and_stay_open(tmp_path):
    out = write_entries(io.StringIO())
    source = io.BytesIO(out.getvalue().encode())
    with read_recording(source) as recording:
        assert list(recording) == ENTRIES
        assert recording.name == "the recording"
    assert not source.closed


def test_anonymised_recording_leaves_out_frames_and_error_texts(tmp_path):
    """Frames that cannot be decoded are left out."""
    path = tmp_path / "day.rec"
    entries = [Connected(0), Frame(1, HELLO), Frame(2, b"secret"), Frame(3, "secret")]
    entries += [Lost(4, "ConnectionLost", "secret")]
    write_entries(path, entries, anonymiser=Anonymiser(b"key"))
    assert "secret" not in path.read_text()
    with read_recording(path) as recording:
        assert recording.header.anonymised
        connected, hello, *rest = recording
    assert connected == Connected(0)
    assert hello.data not in {None, HELLO}
    assert rest == [LeftOut(2, 6), LeftOut(3, 6), Lost(4, "ConnectionLost", None)]


def test_start_with_an_offset_is_converted_to_utc(tmp_path):
    """Additional keys are ignored."""
    path = write_entries(tmp_path / "day.rec")
    header = json.loads(lines(path)[0])
    header["started"] = STARTED.astimezone(timezone(timedelta(hours=9))).isoformat()
    rest = [json.dumps({**json.loads(line), "new": 1}) + "\n" for line in lines(path)[1:]]
    path.write_text(json.dumps(header) + "\n" + "".join(rest))
    with read_recording(path) as recording:
        assert recording.header.started == STARTED
        assert recording.header.started.tzinfo is UTC
        assert list(recording) == ENTRIES


LAST_HEARD = "'last_heard' must be a number of seconds, from 0 to 'at'"
INVALID_ENTRY = "not a recording entry: unknown event, or missing or invalid keys"


# -- damage ---------------------------------------------------------------------------


def read_all(path):
    """Return the entries before the error, and the error."""
    entries, caught = [], None
    try:
        with read_recording(path) as recording:
            entries.extend(recording)
    except RecordingError as error:
        caught = error
    if caught is not None:
        assert str(caught).startswith(f"{path}, line {caught.line}: ")
    return entries, caught


@pytest.mark.slow
def test_truncated_recording_gives_all_complete_lines(tmp_path):
    """A recording cut after any of its bytes gives all complete lines, and then an error."""
    path = write_entries(tmp_path / "day.rec")
    content, cut = path.read_bytes(), tmp_path / "cut.rec"
    for size in range(len(content) - 1):
        cut.write_bytes(content[:size])
        entries, error = read_all(cut)
        complete = content[:size].count(b"\n") - 1
        # A line without its line break counts as complete.
        assert len(entries) in {max(0, complete), complete + 1}, size
        assert entries == ENTRIES[: len(entries)]
        assert error is not None
        assert error.line in {len(entries) + 1, len(entries) + 2}
    cut.write_bytes(content[:-1])
    assert read_all(cut) == (ENTRIES, None)


@pytest.mark.slow
def test_truncated_compressed_recording_gives_entries_and_an_error(tmp_path):
    """This holds for a cut after any of its bytes."""
    content = write_entries(tmp_path / "day.rec.gz").read_bytes()
    cut = tmp_path / "cut.rec.gz"
    lengths = []
    for size in range(len(content)):
        cut.write_bytes(content[:size])
        entries, error = read_all(cut)
        assert entries == ENTRIES[: len(entries)]
        assert error is not None, size
        lengths.append(len(entries))
    assert lengths == sorted(lengths)
    assert {*lengths} == {*range(len(ENTRIES) + 1)}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("garbage", "not valid JSON"),
        ("", "not valid JSON"),
        ("\xff\xfe", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("9" * 10_000, "not valid JSON"),
        ("[1]", "not a JSON object"),
        ("null", "not a JSON object"),
        ("{}", "'at' must be a number of seconds, 0 or more"),
        ('{"at":true,"event":"connected"}', "'at' must be a number of seconds, 0 or more"),
        ('{"at":-1,"event":"connected"}', "'at' must be a number of seconds, 0 or more"),
        ('{"at":NaN,"event":"connected"}', "'at' must be a number of seconds, 0 or more"),
        ('{"at":Infinity,"event":"connected"}', "'at' is later than the latest possible date"),
        ('{"at":1e30,"event":"connected"}', "'at' is later than the latest possible date"),
        (
            f'{{"at":1{"0" * 400},"event":"connected"}}',
            "'at' is later than the latest possible date",
        ),
        ('{"at":1}', INVALID_ENTRY),
        ('{"at":1,"event":"yamada"}', INVALID_ENTRY),
        ('{"at":1,"event":"lost"}', INVALID_ENTRY),
        *(
            (f'{{"at":1,"event":"lost","error":"A","text":null,"last_heard":{value}}}', LAST_HEARD)
            for value in ("-0.001", "1.001", "NaN", "Infinity", "-Infinity", "true", '"0"', "[0]")
        ),
        ('{"at":1,"event":"left out","size":"a"}', INVALID_ENTRY),
        ('{"at":1,"frame":7}', INVALID_ENTRY),
        ('{"at":1,"frame":"a"}', "the frame is not valid base64"),
        ('{"at":1,"frame":"\u3042"}', "the frame is not valid base64"),
        (
            '{"at":1,"event":"end","frames":9}',
            "wrong number of frames in the last line: the recording has 1",
        ),
    ],
)
def test_damaged_line_is_reported_with_its_number(tmp_path, line, problem):
    """The entries before it are read; the error does not quote the line."""
    path = write_entries(tmp_path / "day.rec")
    damaged = lines(path)
    damaged[3] = line + "\n"
    path.write_bytes("".join(damaged).encode("latin-1" if "\xff" in line else "utf-8"))
    entries, error = read_all(path)
    assert entries == ENTRIES[:2]
    assert (error.line, error.problem) == (4, problem)


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("", "not a recording: the first line is not its header"),
        ("{}", "not a recording: the first line is not its header"),
        ('{"name": "basix"}', "not a recording: the first line is not its header"),
        ("PK\x03\x04", "not valid JSON"),
        (
            '{"format":"basix_ws_cti recording","version":2}',
            "unsupported recording version 2: expected 1",
        ),
        (
            '{"format":"basix_ws_cti recording","version":"secret"}',
            "unsupported recording version ?: expected 1",
        ),
        *(
            (
                json.dumps({"format": "basix_ws_cti recording", "version": 1, "started": started}),
                "the header has no valid start time",
            )
            for started in (None, "today", "2026-01-31T09:00:00", "0001-01-01T00:00:00+09:00")
        ),
    ],
)
def test_file_without_a_known_header_is_refused(tmp_path, header, problem):
    path = tmp_path / "day.rec"
    path.write_text(f"{header}\n" if header else "")
    entries, error = read_all(path)
    assert entries == []
    assert (error.line, error.problem) == (1, problem)


def test_data_after_the_last_line_is_an_error(tmp_path):
    path = write_entries(tmp_path / "day.rec")
    count = len(lines(path))
    path.write_text(path.read_text() * 2)
    entries, error = read_all(path)
    assert entries == ENTRIES
    assert (error.line, error.problem) == (
        count + 1,
        "unexpected data after the last line of the recording",
    )


def test_damaged_compressed_data_differs_from_truncated_data(tmp_path):
    """Everything before the damage is read."""
    damaged = bytearray(write_entries(tmp_path / "day.rec.gz").read_bytes())
    damaged[-6] ^= 1
    path = tmp_path / "damaged.rec.gz"
    path.write_bytes(damaged)
    entries, error = read_all(path)
    assert entries == ENTRIES
    assert error.problem == "the compressed data is damaged"


def test_line_longer_than_any_frame_is_refused(tmp_path, monkeypatch):
    """It is not read into memory completely."""
    monkeypatch.setattr("basix_ws_cti.recording.disk.MAX_LINE_BYTES", 1000)
    path = write_entries(tmp_path / "day.rec")
    with path.open("a") as file:
        file.write("x" * 5000)
    text = path.read_text().replace('"event":"end"', '"event":"connected"')
    path.write_text(text)
    entries, error = read_all(path)
    assert len(entries) == len(ENTRIES) + 1
    assert error.problem == "the line is longer than that of any frame"


def test_missing_file_or_folder_raises_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_recording(tmp_path / "day.rec")
    with pytest.raises(FileNotFoundError):
        Recorder(tmp_path / "folder" / "day.rec")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["day.rec", "day.rec.gz"])
def test_full_disk_raises_os_error_and_leaves_no_file_open(tmp_path, name):
    (tmp_path / name).symlink_to("/dev/full")
    opened, real = [], os.open
    with (
        mock.patch("os.open", lambda *arguments: opened.append(real(*arguments)) or opened[-1]),
        pytest.raises(OSError, match="No space left") as caught,
    ):
        Recorder(tmp_path / name, overwrite=True)
    (number,) = opened
    assert caught.value.__traceback__ is not None  # its frames refer to the recorder
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_open_file_that_cannot_be_written_stays_open():

    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    file = Full()
    with pytest.raises(OSError, match="No space left"):
        Recorder(file)
    assert not file.closed


def test_anonymiser_is_reset_on_each_connection(tmp_path):
    """Fields of the previous connection do not apply to the next one."""
    anonymiser = mock.Mock(return_value=b"")
    write_entries(tmp_path / "day.rec", [Connected(0), Frame(1, HELLO)], anonymiser=anonymiser)
    assert anonymiser.mock_calls == [mock.call.start_connection(), mock.call(HELLO)]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_lines(tmp_path):
    peaks = []
    for count in (2_000, 20_000):
        path = tmp_path / f"{count}.rec"
        write_entries(path, (Frame(at, HELLO) for at in range(count)))
        tracemalloc.start()
        with read_recording(path) as recording:
            assert sum(1 for _ in recording) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 20_000


def test_compressed_recording_is_plain_gzip_without_a_file_name(tmp_path):
    path = write_entries(tmp_path / "day.rec.gz")
    assert gzip.decompress(path.read_bytes()) == write_entries(tmp_path / "day.rec").read_bytes()
    assert b"day" not in path.read_bytes()[:20]


class _Reader:
    """Source with only some of the methods of a file; ``read1`` returns few bytes at a time."""

    def __init__(self, data, *methods):
        source = io.BytesIO(data)
        for name in methods:
            setattr(self, name, getattr(source, name))
        if "read1" in methods:
            self.read1 = lambda _: source.read(7)


SOURCES = {
    "path": lambda path: path,
    "file": lambda path: io.BytesIO(path.read_bytes()),
    "pipe": lambda path: _Reader(path.read_bytes(), "readline", "read1"),
    "lines": lambda path: _Reader(path.read_bytes(), "readline"),
}


@pytest.mark.parametrize("written", ["day.rec", "day.rec.gz"])
@pytest.mark.parametrize("read", ["day.rec", "day.rec.gz", "day"])
@pytest.mark.parametrize("source", SOURCES)
def test_compressed_data_is_recognised_under_any_name(tmp_path, written, read, source):
    path = write_entries(tmp_path / written).rename(tmp_path / read)
    with read_recording(SOURCES[source](path)) as recording:
        assert list(recording) == ENTRIES
        assert recording.bytes_read == path.stat().st_size


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_error_while_writing_names_the_file():
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        Recorder("/dev/full", overwrite=True)


def test_error_while_reading_names_the_source():
    class Broken(io.BytesIO):
        name = "day.rec"

        def readline(self, _):
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error: 'day.rec'"):
        read_recording(Broken())


@for_each(
    "arguments, message",
    [
        ({"target": io.BytesIO()}, "target must be a path or a file open for text, got BytesIO"),
        ({"anonymiser": Anonymiser}, "anonymiser must be an Anonymiser"),
        ({"started": datetime(2026, 1, 31)}, "started has no time zone"),  # noqa: DTZ001
    ],
)
def test_arguments_of_a_recorder_that_cannot_work_are_usage_errors(arguments, message):
    with pytest.raises(UsageError, match=message):
        Recorder(**{"target": io.StringIO()} | arguments)


def test_source_of_a_recording_must_be_open_in_binary_mode():
    with pytest.raises(UsageError, match="open in binary mode, got StringIO"):
        read_recording(io.StringIO())
