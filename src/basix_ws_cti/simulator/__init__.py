"""Simulated PBX with a real WebSocket server, to test and demonstrate against.

The modules, from the model to the network:

- ``model``, ``company``, ``call_legs``, ``pbx``: the PBX itself, with its own clock and no I/O.
  ``change_publisher`` publishes its changes.
- ``call_ledger``: log of the calls that ended; ``ledger_calls``, ``wait_ledger``,
  ``participation_ledger``, ``ledger_outcome`` and ``ledger_rows`` are its parts.
- ``scenarios``, ``timeline``: typical calls, and their schedule in the PBX's time.
- ``frame_writer``, ``session_frames``: the frames of the feed, encoded by the ``bert`` package.
- ``access_control``, ``commands``, ``api_methods``: checks of what clients request and send.
- ``simulator``, ``control``: the ``Simulator``. ``pacer`` runs it in real time, ``thread_runner``
  in a thread. ``feed_server``, ``client_handler``, ``feed_connection`` serve clients,
  ``http_api`` the HTTP API on the same port.
- ``faults``, ``faulty_transport``: faults that can be injected.

The simulator shares no code with the parser, so that tests of the parser read frames that other
code has written.
"""

from . import faults
from .errors import ApiError, NotPossibleError, RefusedError
from .feed_connection import Feed
from .ledger_rows import CallRow, ParticipationRow, WaitRow
from .model import Person
from .pbx import Pbx
from .session_frames import frames
from .simulator import Simulator

__all__ = [
    "ApiError",
    "CallRow",
    "Feed",
    "NotPossibleError",
    "ParticipationRow",
    "Pbx",
    "Person",
    "RefusedError",
    "Simulator",
    "WaitRow",
    "faults",
    "frames",
]
