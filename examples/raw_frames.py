"""Own the socket, and hand each frame to the parser: no asyncio in sight.

With ``BASIX_URL`` set (``wss://DOMAIN:TOKEN@SERVER/basix/api/ws_cti?app_name=…``, as
``feed_url()`` writes it) it reads a real PBX; without, the built-in simulator, in a thread
of its own. It prints twenty events and ends.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from websockets.sync.client import connect

from basix_ws_cti import MessageParser, feed_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from basix_ws_cti import Element

EVENTS = 20


class Printer:
    """The callbacks, as methods of one object."""

    def __init__(self) -> None:
        self.events = 0

    def on_initial_info(self, element_name: str, elements: dict[int | str, Element]) -> None:
        print(f"{element_name}: {len(elements)} now")

    def on_info_event(self, element_name: str, element: Element, event_name: str) -> None:
        self.events += 1
        print(f"{self.events:2} {element_name} {element.key} {event_name}")

    def on_system_msg(self, text: str) -> None:
        print(f"the PBX says: {text}")


@contextlib.contextmanager
def simulated_feed() -> Iterator[str]:
    """The URL of a simulator that runs in a thread for as long as the block."""
    from basix_ws_cti.simulator import Simulator  # noqa: PLC0415 - a real PBX does without

    with Simulator(speed=20) as pbx:
        yield feed_url(**pbx.connect_args)


def main() -> None:
    real = os.environ.get("BASIX_URL")
    with contextlib.nullcontext(real) if real else simulated_feed() as url:
        printer = Printer()
        parser = MessageParser(printer)
        with connect(url, compression=None, proxy=None, max_size=2**26) as websocket:
            while printer.events < EVENTS:
                parser.handle_message(websocket.recv())


if __name__ == "__main__":
    main()
