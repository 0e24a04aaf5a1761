"""Print one line for each event of a PBX, and reconnect when the connection is lost.

Without arguments it listens to the built-in simulator, for ten seconds or the time that
``--seconds`` sets. It listens to a real PBX until Ctrl-C::

    BASIX_TOKEN=… python examples/listen.py --server bcs.brastel.com --domain acme \
        --app-name wallboard
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import itertools
import logging
import os
import signal
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

from basix_ws_cti import (
    BasixError,
    Channel,
    Client,
    EndUsers,
    FieldSpec,
    InfoEvent,
    InitialInfo,
    Lagged,
    Msg,
    OtherInfo,
    SystemMsg,
    WaitingChannel,
)
from basix_ws_cti.states import Bridged, Calling, Ivr, Park, State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from basix_ws_cti import Element, Message


def describe(message: Message | Lagged) -> str | None:
    """Return one line about a message; ``None``: a message that is not shown."""
    match message:
        case FieldSpec():
            return None
        case InitialInfo(kind, elements):
            return row("now", kind, f"{len(elements)} of them")
        case InfoEvent(kind, element, event_name):
            return row(event_name, kind, subject(element), activity(element))
        case SystemMsg(text) | Msg(text):
            return row("message", "", text)
        case Lagged(missed):
            return row("missed", "", f"{missed} messages came too fast")
        case _:
            return row("unknown", message.name)


def row(*cells: str) -> str:
    """Return cells aligned in columns; a Japanese character takes two columns."""
    widths = (8, 16, 44, 0)
    # A name may contain control characters, which could manipulate the terminal.
    cells = tuple("".join(c if c.isprintable() else "?" for c in cell) for cell in cells)
    return " ".join(
        cell + " " * (width - columns(cell)) for cell, width in zip(cells, widths, strict=False)
    ).rstrip()


def columns(text: str) -> int:
    """Return the width of a text in a terminal, in columns."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def subject(element: Element) -> str:
    """Return the parties of a channel, or the name of another element."""
    if not isinstance(element, Channel | WaitingChannel):
        return str(getattr(element, "label", None) or getattr(element, "name", None) or element.key)
    people = element.end_user.items if isinstance(element.end_user, EndUsers) else ()
    caller = next((person.name for person in people if person.name), element.calling_number)
    return f"{caller} -> {element.called_number}"


def activity(element: Element) -> str:
    """Return the state of a channel, or the reason why it ended."""
    if not isinstance(element, Channel | WaitingChannel):
        return ""
    if element.hangup is not None:
        return f"ended: {element.hangup.disposition}, {element.hangup.cause}"
    match element.state:
        case Ivr(ivr_id=menu):
            return f"in the menu {menu}"
        case Calling(target_type="group", group_id=group_id):
            return f"calling group {group_id}"
        case Calling(target_type=target):
            return f"calling a {target}"
        case Bridged():
            other = element.other_info
            known = (other.user_id or other.address) if isinstance(other, OtherInfo) else None
            return f"talking with {known or element.other_uuid}"
        case Park(slot=slot, parker_name=parker):
            return f"parked on {slot} by {parker}"
        case State() as state:
            return state.name.replace("_", " ")
    return ""


@contextlib.asynccontextmanager
async def feed(options: argparse.Namespace) -> AsyncIterator[dict[str, Any]]:
    """Yield the arguments of ``Client`` for a real or a simulated PBX."""
    if options.server:
        yield {
            "server": options.server,
            "domain": options.domain,
            "token": os.environ["BASIX_TOKEN"],
            "app_name": options.app_name,
            "full_events": options.full_events,
        }
        return
    from basix_ws_cti.simulator import Simulator  # noqa: PLC0415 - not needed for a real PBX

    async with Simulator(speed=options.speed, seed=options.seed) as simulator:
        print(f"listening to the simulator at {simulator.url}")
        yield {**simulator.connect_args, "full_events": True}


async def listen(options: argparse.Namespace) -> None:
    # Containers and systemd end a program with SIGTERM; the first process would ignore it.
    task = asyncio.current_task()
    with contextlib.suppress(NotImplementedError):  # Windows has no such signals
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # type: ignore[union-attr]
    line_numbers = itertools.count(1)
    with contextlib.suppress(TimeoutError):
        async with (
            feed(options) as arguments,
            asyncio.timeout(options.seconds),
            Client(**arguments) as client,
        ):
            client.on_error(lambda error: print(f"listen: {error}", file=sys.stderr))
            async for message in client.messages():
                line = describe(message)
                if line is None:
                    continue
                print(line, flush=True)
                if next(line_numbers) == options.events:
                    return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--server", help="address of a real PBX: host, host:port or wss://host:port"
    )
    parser.add_argument(
        "--domain", help="name of the PBX domain; the token is read from BASIX_TOKEN"
    )
    parser.add_argument("--app-name", help="name of this application for the PBX")
    parser.add_argument(
        "--full-events", action="store_true", help="subscribe to every channel of the PBX"
    )
    parser.add_argument("--events", type=int, help="stop after this number of lines")
    parser.add_argument(
        "--seconds", type=float, help="stop after this many seconds (simulator: 10)"
    )
    parser.add_argument(
        "--speed",
        type=float,
        default=4,
        help="speed of the simulator, in times real time (default 4)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="random seed of the simulator (default 1)"
    )
    options = parser.parse_args()
    if options.server and not (options.domain and options.app_name and "BASIX_TOKEN" in os.environ):
        parser.error("--server requires --domain, --app-name and the token in BASIX_TOKEN")
    if not options.server and options.seconds is None:
        options.seconds = 10
    # on_error prints the errors; without this handler they would also be logged to stderr.
    logging.getLogger("basix_ws_cti").addHandler(logging.NullHandler())
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # for terminals that cannot show Japanese
    try:
        asyncio.run(listen(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print()
    except BrokenPipeError:  # the reader of the pipe is gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except BasixError as error:
        sys.exit(f"listen: {error}")


if __name__ == "__main__":
    main()
