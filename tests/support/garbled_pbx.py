"""PBX that begins connections with a frame that cannot be read."""

from __future__ import annotations

import contextlib
import itertools
import threading
from typing import TYPE_CHECKING

from websockets.sync.server import serve

from basix_ws_cti.simulator import faults
from basix_ws_cti.simulator.frame_writer import Writer
from basix_ws_cti.simulator.session_frames import initial_frames

from .feed_follower import element_records
from .secret_scanner import SIMULATOR_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.sync.server import ServerConnection

    from basix_ws_cti.simulator import Pbx


@contextlib.contextmanager
def garbled_pbx(pbx: Pbx, connections: int | None = None) -> Iterator[dict[str, str]]:
    """Send the snapshot of ``pbx`` to each client; yield the environment of a command for it.

    The first ``connections`` of them (``None``: all) begin with a frame that cannot be read.
    Nothing follows the snapshot.
    """
    writer, numbers = Writer(), itertools.count()
    snapshot = initial_frames(writer, element_records(writer, pbx))

    def serve_client(websocket: ServerConnection) -> None:
        if connections is None or next(numbers) < connections:
            websocket.send(faults.SendFrame().frame)
        for frame in snapshot:
            websocket.send(frame)
        for _ in websocket:  # until the client closes
            pass

    with serve(serve_client, "127.0.0.1", 0, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield {
                "BASIX_SERVER": f"ws://127.0.0.1:{server.socket.getsockname()[1]}",
                "BASIX_DOMAIN": "demo",
                "BASIX_TOKEN": SIMULATOR_TOKEN,
            }
        finally:
            server.shutdown()
            thread.join()
