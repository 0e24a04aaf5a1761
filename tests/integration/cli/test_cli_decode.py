"""``decode``, as a process, and the forms in which it takes frames."""

from __future__ import annotations

import ast
import base64
import json
import signal
import subprocess
import sys
import zlib

import pytest
from support.cli_runner import environment, run, run_here, start
from support.etf_encoder import field_spec, info_event

from basix_ws_cti import MessageParser, terms, to_dict
from basix_ws_cti.cli.frame_input import Form, UnreadableFrameError, hexdump, parse_frames
from basix_ws_cti.simulator import frames as session

SPEC = field_spec("user", "id", "label")
EVENT = info_event("user", (7, "山田".encode()))


def columns(data, joined):
    """A hexdump, in the columns of xxd or of hexdump -C."""
    lines = []
    for start_ in range(0, len(data), 16):
        part = data[start_ : start_ + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        if joined:
            lines.append(f"{start_:08x}: {part.hex(' ', -2):<39}  {text}")
        else:
            halves = f"{part[:8].hex(' ')}  {part[8:].hex(' ')}"
            lines.append(f"{start_:08x}  {halves:<48}  |{text}|")
    return lines if joined else [*lines, f"{len(data):08x}"]


WAYS = {
    "digits": lambda data: [data.hex()],
    "capitals": lambda data: [data.hex().upper()],
    "spaces": lambda data: [data.hex(" ")],
    "colons": lambda data: [data.hex(":")],
    "escapes": lambda data: ["".join(f"\\x{byte:02x}" for byte in data)],
    "numbers": lambda data: [", ".join(f"0x{byte:02x}" for byte in data)],
    "base64": lambda data: [base64.b64encode(data).decode()],
    "urlsafe": lambda data: [base64.urlsafe_b64encode(data).decode()],
    "unpadded": lambda data: [base64.b64encode(data).decode().rstrip("=")],
    "a recording": lambda data: [json.dumps({"frame": base64.b64encode(data).decode()})],
    "xxd": lambda data: columns(data, joined=True),
    "hexdump -C": lambda data: columns(data, joined=False),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_form_is_seen_by_itself(way):
    """Whatever the form, a session's frames come out as they are, several in order."""
    every = [*session("parked")[:12], bytes([131, *range(256)])]
    lines = [f"  {line}\r\n" for frame in every for line in WAYS[way](frame)]
    assert [*parse_frames([*lines, "\n"])] == every


@pytest.mark.parametrize("form", ["hex", "base64"])
def test_a_form_can_be_forced(form):
    """What would be taken for hex can be base64, and the other way round is an error."""
    assert [*parse_frames(["83aabbcc"], Form.BASE64)] == [base64.b64decode("83aabbcc")]
    (error,) = parse_frames(["g2o="], Form.HEX)
    assert isinstance(error, UnreadableFrameError)
    assert [*parse_frames(["83aabbcc"], Form.HEX)] == [b"\x83\xaa\xbb\xcc"]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("836", "odd number"),
        ("g2o=!", "base64"),
        ("größe", "base64"),
        ("{", "JSON"),
        ('{"frame": 5}', "JSON"),
        ('{"frame": "?"}', "JSON"),
        ("{" + '"a":[' * 5000, "JSON"),
        ("00000000: 836", "odd number"),
        ("0000: " + "a" * 5000 + "!", "base64"),
    ],
)
def test_a_line_that_is_no_frame(line, word):
    """A line that can't be read is an error in its place, and the others are read."""
    first, error, last = parse_frames(["836a", line, "836a"])
    assert first == last == b"\x83j"
    assert isinstance(error, UnreadableFrameError)
    assert word in str(error)


def test_a_recording_s_header_is_no_frame():
    """A JSON line without a frame is passed over."""
    assert [*parse_frames(['{"version": 1}', '{"frame": "g2o="}'])] == [b"\x83j"]


@pytest.mark.parametrize("offset", [0, 7, 15, 16, 70, 79, 80])
def test_a_hexdump_marks_the_byte(offset):
    """The mark stands under the byte at fault, or behind the last one, with few lines around."""
    data = bytes(range(80))
    lines = hexdump(data, offset).splitlines()
    (at,) = (number for number, line in enumerate(lines) if line.strip() == "^^")
    column = lines[at].index("^")
    assert lines[at - 1][:8] == f"{offset // 16 * 16:08x}"
    assert lines[at - 1][column : column + 2] == (f"{offset:02x}" if offset < 80 else "  ")
    assert len(lines) <= 6


def test_frames_as_arguments():
    """Each argument is a frame: its term in Python, then the message once its fields are known."""
    done = run("decode", SPEC.hex(" "), base64.b64encode(EVENT).decode())
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.split("\n\n")
    assert first.splitlines()[:2] == [f"# frame 1: {len(SPEC)} bytes", repr(terms.decode(SPEC))]
    title, term, *message = second.splitlines()
    assert title == f"# frame 2: {len(EVENT)} bytes"
    assert ast.literal_eval(term) == ("info_event", "user", (7, "山田"), "updated")
    parser = MessageParser()
    parser.parse(SPEC)
    assert json.loads("".join(message)) == {
        "message": "info_event",
        "element_name": "user",
        "event_name": "updated",
        "element": to_dict(parser.parse(EVENT).element),
    }


def test_bytes_of_one_frame_as_arguments():
    """Arguments of two digits each are one frame."""
    done = run("decode", "--term", *["83", "68", "01", "6a"])
    assert done.stdout == "# frame 1: 4 bytes\n([],)\n"


def test_a_whole_session_as_a_pipe():
    """A session through a pipe: every term reads as Python, and every message is told."""
    every = [*session("directory_changes")]
    done = run("decode", stdin="\n".join(frame.hex() for frame in every))
    assert (done.returncode, done.stderr) == (0, "")
    blocks = done.stdout.split("\n\n")
    assert len(blocks) == len(every)
    for frame, block in zip(every, blocks, strict=True):
        term, message = block.split("\n{\n")
        assert ast.literal_eval(term) == terms.decode(frame)
        assert json.loads("{" + message)["message"] == terms.decode(frame)[0]


@pytest.mark.parametrize("by", ["pipe", "file"])
def test_a_frame_as_it_is(tmp_path, by):
    """Bytes that are no text are one frame, from a pipe or a file, line breaks and all."""
    frame = info_event("user", (10, b"\n\r\n"))
    path = tmp_path / "frame"
    path.write_bytes(frame)
    arguments = ["decode", "--term", *(["--file", str(path)] if by == "file" else [])]
    done = subprocess.run(
        [sys.executable, "-m", "basix_ws_cti", *arguments],
        input=frame if by == "pipe" else b"",
        capture_output=True,
        check=False,
        env=environment(),
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(done.stdout.decode()) == terms.decode(frame)


def test_a_term_that_is_no_message():
    """What is a term but no message is shown, with why it is none; that is no failure."""
    done = run_here("decode", EVENT.hex(), "836a")
    assert done.returncode == 0
    assert "# no message: user, info_event: no field_spec received for this kind" in done.stdout
    assert "# no message: expected a tuple that starts with the message name" in done.stdout


def test_a_broken_frame():
    """Where and why it is broken, with the byte marked; the others are decoded; exit code 1."""
    broken = EVENT[:-3]
    done = run("decode", "--term", broken.hex(), SPEC.hex())
    assert done.returncode == 1
    assert f"# frame 2: {len(SPEC)} bytes" in done.stdout
    line, *dump = done.stderr.splitlines()
    assert line.startswith("basix-ws-cti: frame 1: byte ")
    assert dump[-1].strip() == "^^"


def test_a_broken_compressed_frame():
    """Of a compressed frame it is what it inflates to that is shown."""
    inner = b"h\x02a\x01\x01"
    frame = b"\x83P" + len(inner).to_bytes(4, "big") + zlib.compress(inner)
    done = run("decode", frame.hex())
    assert done.returncode == 1
    assert "of the inflated term" in done.stderr
    assert "68 02 61 01 01" in done.stderr
    assert done.stderr.splitlines()[-1].index("^") == 10 + 3 * 4


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["zz?"], 1, "frame 1: not base64"),
        ([], 2, "nothing to decode"),
        (["836a", "--file", "x"], 2, "not both"),
        (["836a", "--form", "binary"], 2, "a pipe"),
        (["--file", "/does/not/exist"], 1, "No such file"),
        (["--form", "rot13", "836a"], 2, "--form"),
    ],
)
def test_bad_input(arguments, code, word):
    """What can't be decoded is said, with the right exit code."""
    done = run_here("decode", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert word in done.stderr


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(sign):
    """A signal while it waits for its pipe ends it with 130, after what had come."""
    process = start("decode", "--term")
    process.stdin.write("836a\n836a\n")
    process.stdin.flush()
    assert process.stdout.readline() == "# frame 1: 2 bytes\n"
    process.send_signal(sign)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")


def test_nobody_reads():
    """When whoever reads has gone, it ends quietly with 0."""
    process = start("decode")
    process.stdout.close()
    _, err = process.communicate("\n".join([SPEC.hex()] * 100), 60)
    assert (process.returncode, err) == (0, "")


def test_a_narrow_encoding():
    """Where the terminal's encoding lacks a character the message has it escaped."""
    done = run(
        *("decode", SPEC.hex(), EVENT.hex()), env={"PYTHONIOENCODING": "ascii"}, encoding="ascii"
    )
    assert done.returncode == 0
    assert r'"label": "\u5c71\u7530"' in done.stdout
