"""Command ``decode``, and the text forms of frames that it reads."""

from __future__ import annotations

import ast
import base64
import json
import signal
import subprocess
import sys
import zlib

import pytest
from support.cli_runner import environment, run, run_in_process, start
from support.etf_encoder import field_spec, info_event

from basix_ws_cti import MessageParser, terms, to_dict
from basix_ws_cti.cli.frame_input import Form, UnreadableFrameError, hexdump, parse_frames
from basix_ws_cti.simulator import frames as session

SPEC = field_spec("user", "id", "label")
EVENT = info_event("user", (7, "山田".encode()))


def hexdump_lines(data, joined):
    """Return a hexdump in the format of xxd (``joined``) or hexdump -C."""
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


ENCODERS = {
    "digits": lambda data: [data.hex()],
    "capitals": lambda data: [data.hex().upper()],
    "spaces": lambda data: [data.hex(" ")],
    "colons": lambda data: [data.hex(":")],
    "escapes": lambda data: ["".join(f"\\x{byte:02x}" for byte in data)],
    "numbers": lambda data: [", ".join(f"0x{byte:02x}" for byte in data)],
    "base64": lambda data: [base64.b64encode(data).decode()],
    "urlsafe": lambda data: [base64.urlsafe_b64encode(data).decode()],
    "unpadded": lambda data: [base64.b64encode(data).decode().rstrip("=")],
    "recording": lambda data: [json.dumps({"frame": base64.b64encode(data).decode()})],
    "xxd": lambda data: hexdump_lines(data, joined=True),
    "hexdump -C": lambda data: hexdump_lines(data, joined=False),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_each_form_is_detected(name):
    """Frames of a session are read in order, whatever their form."""
    expected = [*session("parked")[:12], bytes([131, *range(256)])]
    lines = [f"  {line}\r\n" for frame in expected for line in ENCODERS[name](frame)]
    assert [*parse_frames([*lines, "\n"])] == expected


@pytest.mark.parametrize("form", ["hex", "base64"])
def test_form_can_be_forced(form):
    """Text that looks like hex can be read as base64; base64 read as hex is an error."""
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
def test_unreadable_line_is_an_error_in_its_place(line, word):
    """The lines before and after it are read."""
    first, error, last = parse_frames(["836a", line, "836a"])
    assert first == last == b"\x83j"
    assert isinstance(error, UnreadableFrameError)
    assert word in str(error)


def test_header_line_of_a_recording_is_skipped():
    assert [*parse_frames(['{"version": 1}', '{"frame": "g2o="}'])] == [b"\x83j"]


@pytest.mark.parametrize("offset", [0, 7, 15, 16, 70, 79, 80])
def test_hexdump_marks_the_byte_at_fault(offset):
    """The mark is below the byte, or after the last byte; only a few lines around it are shown."""
    data = bytes(range(80))
    lines = hexdump(data, offset).splitlines()
    (at,) = (number for number, line in enumerate(lines) if line.strip() == "^^")
    column = lines[at].index("^")
    assert lines[at - 1][:8] == f"{offset // 16 * 16:08x}"
    assert lines[at - 1][column : column + 2] == (f"{offset:02x}" if offset < 80 else "  ")
    assert len(lines) <= 6


def test_each_argument_is_a_frame():
    """Each frame is printed as a Python term, then as a message."""
    done = run_in_process("decode", SPEC.hex(" "), base64.b64encode(EVENT).decode())
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


def test_two_digit_arguments_are_the_bytes_of_one_frame():
    done = run_in_process("decode", "--term", *["83", "68", "01", "6a"])
    assert done.stdout == "# frame 1: 4 bytes\n([],)\n"


def test_session_from_stdin():
    """Every term is a Python literal, and every message is printed."""
    expected = [*session("directory_changes")]
    done = run_in_process("decode", stdin="\n".join(frame.hex() for frame in expected))
    assert (done.returncode, done.stderr) == (0, "")
    blocks = done.stdout.split("\n\n")
    assert len(blocks) == len(expected)
    for frame, block in zip(expected, blocks, strict=True):
        term, message = block.split("\n{\n")
        assert ast.literal_eval(term) == terms.decode(frame)
        assert json.loads("{" + message)["message"] == terms.decode(frame)[0]


@pytest.mark.parametrize("source", ["pipe", pytest.param("file", marks=pytest.mark.slow)])
def test_binary_input_is_one_frame(tmp_path, source):
    """Bytes that are not text are one frame, from a pipe or a file, including line breaks."""
    frame = info_event("user", (10, b"\n\r\n"))
    path = tmp_path / "frame"
    path.write_bytes(frame)
    arguments = ["decode", "--term", *(["--file", str(path)] if source == "file" else [])]
    done = subprocess.run(
        [sys.executable, "-m", "basix_ws_cti", *arguments],
        input=frame if source == "pipe" else b"",
        capture_output=True,
        check=False,
        env=environment(),
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(done.stdout.decode()) == terms.decode(frame)


def test_term_that_is_not_a_message_is_printed_with_the_reason():
    """The exit code is 0."""
    done = run_in_process("decode", EVENT.hex(), "836a")
    assert done.returncode == 0
    assert "# no message: user, info_event: no field_spec received for this kind" in done.stdout
    assert "# no message: expected a tuple that starts with the message name" in done.stdout


def test_broken_frame_is_reported_with_a_hexdump():
    """The other frames are decoded; the exit code is 1."""
    broken = EVENT[:-3]
    done = run_in_process("decode", "--term", broken.hex(), SPEC.hex())
    assert done.returncode == 1
    assert f"# frame 2: {len(SPEC)} bytes" in done.stdout
    line, *dump = done.stderr.splitlines()
    assert line.startswith("basix-ws-cti: frame 1: byte ")
    assert dump[-1].strip() == "^^"


def test_hexdump_of_a_broken_compressed_frame_shows_the_inflated_term():
    inner = b"h\x02a\x01\x01"
    frame = b"\x83P" + len(inner).to_bytes(4, "big") + zlib.compress(inner)
    done = run_in_process("decode", frame.hex())
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
        (["--file", "/does/not/exist"], 1, "cannot read /does/not/exist: no such file"),
        (["--form", "rot13", "836a"], 2, "--form"),
    ],
)
def test_invalid_input_is_an_error(arguments, code, word):
    done = run_in_process("decode", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert word in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_while_waiting_for_input_exits_with_130(signum):
    """Output for the input so far is printed first."""
    process = start("decode", "--term")
    process.stdin.write("836a\n836a\n")
    process.stdin.flush()
    assert process.stdout.readline() == "# frame 1: 2 bytes\n"
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")


@pytest.mark.slow
def test_closed_stdout_ends_quietly():
    process = start("decode")
    process.stdout.close()
    _, err = process.communicate("\n".join([SPEC.hex()] * 100), 60)
    assert (process.returncode, err) == (0, "")


@pytest.mark.slow
def test_characters_missing_in_the_encoding_are_escaped():
    done = run(
        *("decode", SPEC.hex(), EVENT.hex()), env={"PYTHONIOENCODING": "ascii"}, encoding="ascii"
    )
    assert done.returncode == 0
    assert r'"label": "\u5c71\u7530"' in done.stdout
