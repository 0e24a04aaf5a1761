"""Use your own WebSocket and pass each frame to the parser, without asyncio.

It reads the feed at ``BASIX_URL`` (``wss://DOMAIN:TOKEN@SERVER/basix/api/ws_cti?app_name=…``, as
``feed_url()`` returns it). Without ``BASIX_URL`` it starts the built-in simulator in a thread.
It prints twenty events and ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

from websockets.sync.client import connect

from basix_ws_cti import MessageParser, feed_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from basix_ws_cti import Element

EVENTS = 20


class Printer:
    """The parser's callbacks as methods of one object."""

    def __init__(self) -> None:
        self.events = 0

    def on_initial_info(self, element_name: str, elements: dict[int | str, Element]) -> None:
        print(f"{element_name}: {len(elements)} now")

    def on_info_event(self, element_name: str, element: Element, event_name: str) -> None:
        self.events += 1
        print(f"{self.events:2} {element_name} {element.key} {event_name}")

    def on_system_msg(self, text: str) -> None:
        print(f"system message: {text}")


@contextlib.contextmanager
def simulated_feed() -> Iterator[str]:
    """Yield the URL of a simulator that runs in a thread until the end of the block."""
    from basix_ws_cti.simulator import Simulator  # noqa: PLC0415 - not needed for a real PBX

    with Simulator(speed=20) as pbx:
        yield feed_url(**pbx.connect_args)


def main() -> None:
    # Containers and systemd end a program with SIGTERM; the first process would ignore it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    real_url = os.environ.get("BASIX_URL")
    with contextlib.nullcontext(real_url) if real_url else simulated_feed() as url:
        printer = Printer()
        parser = MessageParser(printer)
        with connect(url, compression=None, proxy=None, max_size=2**26) as websocket:
            while printer.events < EVENTS:
                parser.handle_message(websocket.recv())


if __name__ == "__main__":
    try:
        main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader is gone, as with `| head`: nothing is left to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
