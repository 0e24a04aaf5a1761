"""``decode``: what is in frames that are given as hex, base64 or bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from basix_ws_cti.cli.exit_codes import Exit
from basix_ws_cti.cli.frame_dumps import Form, UnreadableError, frames, hexdump
from basix_ws_cti.cli.output import say, write_json
from basix_ws_cti.exceptions import BasixError, DecodeError, ProtocolError, UsageError

if TYPE_CHECKING:
    from basix_ws_cti import Message, MessageParser


def decode(
    *,
    data: Annotated[
        list[str] | None,
        typer.Argument(
            help="a frame each, in hex or base64; none: from a pipe", show_default=False
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="with a frame in each line, or one as it is")
    ] = None,
    form: Annotated[
        Form | None, typer.Option("--form", help="of the frames, if it is not seen by itself")
    ] = None,
    term: Annotated[bool, typer.Option("--term", help="the terms alone, not the messages")] = False,
) -> None:
    """What is in frames: the Erlang term, and the message that it is.

    Frames are hex, base64, a hexdump, a recording's lines, or one frame's bytes as they are.
    """
    from basix_ws_cti import MessageParser

    parser = None if term else MessageParser()
    failed = False
    number = 0
    for number, frame in enumerate(_given(data, file, form), 1):
        try:
            if isinstance(frame, UnreadableError):
                raise frame
            _show(number, frame, parser)
        except BasixError as error:
            failed = True
            say(f"frame {number}: {error}")
            if isinstance(error, DecodeError) and isinstance(frame, bytes):
                sys.stderr.write(_excerpt(frame, error) + "\n")
    if not number:
        raise UsageError("nothing to decode: no frame was given")
    if failed:
        raise typer.Exit(Exit.FAILURE)


def _given(
    data: list[str] | None, file: Path | None, form: Form | None
) -> Iterator[bytes | UnreadableError]:
    if data and file:
        raise UsageError("give either frames or --file, not both")
    if data:
        if form is Form.BINARY:
            raise UsageError("an argument is text: binary comes from a file or a pipe")
        if all(len(part) == 2 for part in data):
            data = [" ".join(data)]  # bytes of one frame: the shortest has two
        yield from frames(data, form)
    elif file:
        with file.open("rb") as stream:
            yield from _read(stream, form)
    elif sys.stdin.isatty():
        raise UsageError("nothing to decode: give frames, --file, or a pipe")
    else:
        yield from _read(sys.stdin.buffer, form)


def _read(stream: BinaryIO, form: Form | None) -> Iterator[bytes | UnreadableError]:
    start = stream.readline()
    is_text = start.removesuffix(b"\n").removesuffix(b"\r").replace(b"\t", b" ").isascii()
    if form is Form.BINARY or (form is None and start and not is_text):
        yield start + stream.read()
        return
    lines: Iterable[bytes] = chain([start], stream)
    yield from frames((line.decode("ascii", "replace") for line in lines), form)


def _show(number: int, frame: bytes, parser: MessageParser | None) -> None:
    """Print a frame's term, and its message if there is one."""
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
        write_json(_plain(message), indent=2)


def _plain(message: Message) -> dict[str, object]:
    """A message as JSON-ready values."""
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
            every = {str(key): to_dict(element) for key, element in elements.items()}
            return {"message": "initial_info", "element_name": kind, "elements": every}
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
    """The bytes around the one at fault."""
    if not error.inflated:
        return hexdump(frame, error.offset)
    import zlib

    # A compressed frame: version, tag and the size in four bytes stand before.
    inflated = zlib.decompressobj().decompress(frame[6:], error.offset + 64)
    return hexdump(inflated, error.offset)
