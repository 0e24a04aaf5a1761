"""A PBX to talk to: a simulated Basix feed on the loopback interface.

Three rooms, one above the other: ``pbx`` is the model, a world with its own clock and no
I/O; ``scenarios`` is what happens in it; ``wire`` puts it into frames, through the ``bert``
package. ``server`` lets clients in. Nothing is shared with the parser: what reads the
simulator's frames is tested against somebody else's writing.
"""

from .server import Simulator

__all__ = ["Simulator"]
