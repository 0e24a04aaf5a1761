"""A PBX to talk to: a simulated Basix feed on the loopback interface.

``model`` and ``pbx`` are a world with its own clock and no I/O; ``scenarios`` is what
happens in it, and ``timeline`` when; ``ledger`` is its own book of the calls that ended;
``commands`` is what clients may ask of it. ``wire`` puts it into frames, through the ``bert``
package. ``server`` runs it all; ``reception`` lets clients in, as ``access`` allows, each with
its ``feed`` through a ``pipe``; ``faults`` is what can go wrong. Nothing is shared with the
parser: what reads the simulator's frames is tested against somebody else's writing.
"""

from . import faults
from .access_control import RefusedError
from .call_ledger import Row
from .feed_connection import Feed
from .model import Person
from .pbx import NotPossibleError, Pbx
from .server import Simulator
from .session_frames import frames

__all__ = [
    "Feed",
    "NotPossibleError",
    "Pbx",
    "Person",
    "RefusedError",
    "Row",
    "Simulator",
    "faults",
    "frames",
]
