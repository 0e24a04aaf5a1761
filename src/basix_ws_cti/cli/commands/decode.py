"""Command ``decode``: prints terms and messages of frames given as hex, base64 or bytes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.exit_codes import ExitCode
from basix_ws_cti.cli.files import STDIO, FileAccessError, file_access, size_of
from basix_ws_cti.cli.frame_input import Form, UnreadableFrameError, hexdump, parse_frames
from basix_ws_cti.cli.output import report, write_json
from basix_ws_cti.cli.progress import Amount, shorten_name, show_progress
from basix_ws_cti.exceptions import BasixError, DecodeError, ProtocolError, UsageError

if TYPE_CHECKING:
    from basix_ws_cti import Message, MessageParser
    from basix_ws_cti.recording.compression import InputStream


def decode_frames(
    *,
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FRAME",
            help=_("Frames, each in hex or base64; without any, stdin is read."),
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help=_("File with one frame per line, or with one binary frame."),
        ),
    ] = None,
    form: Annotated[
        Form | None,
        typer.Option(
            "--form",
            metavar="FORM",
            help=_("Form of the frames: hex, base64 or binary; default: recognised automatically."),
        ),
    ] = None,
    term: Annotated[
        bool, typer.Option("--term", help=_("Print only the Erlang terms, not the messages."))
    ] = False,
) -> None:
    """Decode frames and print their Erlang terms and messages.

    Frames are given in hex or base64, as a hexdump, as lines of a recording, or as the bytes of
    one frame.
    """
    from basix_ws_cti import MessageParser

    parser = None if term else MessageParser()
    failed = False
    number = 0
    with contextlib.ExitStack() as stack:
        for number, frame in enumerate(_read_input(data, file, form, stack), 1):
            try:
                if isinstance(frame, UnreadableFrameError):
                    raise frame
                _print_frame(number, frame, parser)
            except BasixError as error:
                failed = True
                report(f"frame {number}: {error}")
                if isinstance(error, DecodeError) and isinstance(frame, bytes):
                    sys.stderr.write(_excerpt(frame, error) + "\n")
    if not number:
        raise UsageError(_("nothing to decode: the input contains no frame"))
    if failed:
        raise typer.Exit(ExitCode.FAILURE)


def _read_input(
    data: list[str] | None, file: Path | None, form: Form | None, stack: contextlib.ExitStack
) -> Iterator[bytes | UnreadableFrameError]:
    """Yield the frames of the input; ``stack`` closes a file and ends its progress bar."""
    from basix_ws_cti.recording.compression import InputStream

    if data and file:
        raise UsageError(_("pass frames or --file, not both"))
    if data:
        if form is Form.BINARY:
            raise UsageError(_("--form binary needs --file or a pipe: arguments are text"))
        if all(len(part) == 2 for part in data):
            data = [" ".join(data)]  # bytes of one frame, since the shortest frame has two
        yield from parse_frames(data, form)
    elif file and file != STDIO:
        with file_access("read", file):
            stream = InputStream(stack.enter_context(file.open("rb")))
        size = size_of(file)
        stack.enter_context(
            show_progress(
                _("decoding {file}").format(file=shorten_name(file)),
                lambda: Amount(stream.bytes_read, size, ""),
            )
        )
        yield from _read_stream(file, stream, form)
    elif sys.stdin.isatty():
        raise UsageError(_("nothing to decode: pass frames or --file, or use a pipe"))
    else:
        yield from _read_stream(STDIO, InputStream(sys.stdin.buffer), form)


def _read_stream(
    file: Path, stream: InputStream, form: Form | None
) -> Iterator[bytes | UnreadableFrameError]:
    """Yield the frames in a stream. Raises ``FileAccessError``, also for damaged compression."""
    lines = _lines(file, stream)
    start = next(lines, b"")
    is_text = start.removesuffix(b"\n").removesuffix(b"\r").replace(b"\t", b" ").isascii()
    if form is Form.BINARY or (form is None and start and not is_text):
        yield start + b"".join(lines)
        return
    yield from parse_frames(
        (line.decode("ascii", "replace") for line in chain([start], lines)), form
    )


def _lines(file: Path, stream: InputStream) -> Iterator[bytes]:
    from basix_ws_cti.recording.compression import COMPRESSION_ERRORS

    while True:
        with file_access("read", file):
            try:
                line = stream.readline()
            except COMPRESSION_ERRORS:
                raise FileAccessError("read", file, "its compressed data is damaged") from None
        if not line:
            return
        yield line


def _print_frame(number: int, frame: bytes, parser: MessageParser | None) -> None:
    """Print a frame's term, and its message if it has one; ``parser`` ``None``: the term only."""
    from pprint import pformat

    from basix_ws_cti import terms

    value = terms.decode(frame)
    if number > 1:
        print()  # noqa: T201 - a command's output
    print(f"# frame {number}: {len(frame)} bytes")  # noqa: T201
    print(pformat(value, width=100, compact=True, sort_dicts=False), flush=True)  # noqa: T201
    if parser is None:
        return
    try:
        message = parser.parse(frame)
    except ProtocolError as error:
        print(f"# no message: {error}", flush=True)  # noqa: T201
    else:
        write_json(_message_value(message), indent=2)


def _message_value(message: Message) -> dict[str, object]:
    """Return a message as a JSON-ready object."""
    from basix_ws_cti import (
        FieldSpec,
        InfoEvent,
        InitialInfo,
        Msg,
        SystemMsg,
        UnknownMessage,
        to_dict,
    )

    match message:
        case FieldSpec(kind, fields):
            return {"message": "field_spec", "element_name": kind, "fields": list(fields)}
        case InitialInfo(kind, elements):
            values = {str(key): to_dict(element) for key, element in elements.items()}
            return {"message": "initial_info", "element_name": kind, "elements": values}
        case InfoEvent(kind, element, event_name):
            return {
                "message": "info_event",
                "element_name": kind,
                "event_name": event_name,
                "element": to_dict(element),
            }
        case SystemMsg(text):
            return {"message": "system_msg", "text": text}
        case Msg(text):
            return {"message": "msg", "text": text}
        case UnknownMessage(name, _):
            return {"message": "unknown", "name": name}


def _excerpt(frame: bytes, error: DecodeError) -> str:
    """Return a hexdump of the bytes around the position of an error."""
    if not error.inflated:
        return hexdump(frame, error.offset)
    import zlib

    # Compressed data follows the version byte, the tag byte and the size in four bytes.
    inflated = zlib.decompressobj().decompress(frame[6:], error.offset + 64)
    return hexdump(inflated, error.offset)
