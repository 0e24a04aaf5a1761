"""Fuzzing target: frames that a client sends to the simulated PBX.

An input is the frames of one client, separated by line ends. Frames that are not UTF-8 are binary
frames. ``#0`` and so on stand for the uuids of the channels. Invalid frames must be ignored.
"""

from __future__ import annotations

import copy
import json
import logging
import random

from offline import OfflineSimulator, run
from support.feed_follower import FeedMirror, element_records

from basix_ws_cti.simulator.access_control import FeedRequest
from basix_ws_cti.simulator.session_frames import initial_frames

MAX_LEN = 256


def make_simulator(*, simulate_users):
    """Return a simulator with an answered call, a ringing call, and a media plug."""
    pbx = OfflineSimulator(users=4, simulate_users=simulate_users)
    pbx.answer(pbx.call("09011112222", to="1001"))
    pbx.call("0312341234", to="1002")
    pbx.originate("1003", "media_plug")
    return pbx


REFERENCE = make_simulator(simulate_users=False)
UUIDS = [uuid.encode() for uuid in REFERENCE.pbx.channels]
INITIAL_STATE = FeedMirror(
    initial_frames(REFERENCE.writer, element_records(REFERENCE.writer, REFERENCE.pbx))
)


def seeds():
    """Yield each command for each of the channels."""
    uuids = [f"#{number}" for number in range(len(UUIDS))]
    for uuid in uuids:
        yield commands({"cmd": "hangup", "uuid": uuid})
        yield commands({"cmd": "park", "uuid": uuid, "timeout": 20})
        for other in uuids:
            yield commands(
                {"cmd": "park", "uuid": uuid},
                {
                    "cmd": "transfer",
                    "uuid": other,
                    "user_id": 10001002,
                    "user_name": "user2",
                    "destination": "1003",
                },
            )
            yield commands(
                {"cmd": "eavesdrop", "uuid": uuid, "target_uuid": other, "subcommand": "barge"},
                {"cmd": "transfer", "uuid": other, "destination": "0501112222"},
                {"cmd": "hangup", "uuid": other},
            )


def commands(*objects):
    return b"\n".join(json.dumps(one).encode() for one in objects)


# Valid and invalid values for the parts of a command.
VALUES = [
    *(None, True, False, 0, -1, 1e-9, 0.5, 999999, 1e400, 10**30, 10001003, "", "#0", "1002"),
    *("0501112222", "media_plug", "911", "*", "%", "é", "\udcff", "x" * 60, [], ["#1"], {}),
    *("hangup", "park", "transfer", "eavesdrop", "uuid", {"cmd": "park"}),
]
NAMES = ["cmd", "uuid", "target_uuid", "user_id", "user_name", "destination", "timeout", "x"]


def mutate(data, max_size, seed):
    """Change a byte, or a part of a command."""
    import atheris

    draw = random.Random(seed)
    session = data.split(b"\n")
    at = draw.randrange(len(session))
    try:
        command = json.loads(session[at])
        command[draw.choice(NAMES)] = draw.choice(VALUES)
    except (ValueError, TypeError, RecursionError):
        return atheris.Mutate(data, max_size)
    if draw.random() < 0.3:
        return atheris.Mutate(data, max_size)
    session[at : at + draw.randrange(2)] = [json.dumps(command).encode()]
    return b"\n".join(session)[:max_size]


# -- checks --------------------------------------------------------------------


class Client:
    """Both ends of a connection: frames that the client sends, and the state it receives."""

    user_id = last_event = None
    request = FeedRequest("fuzz")

    def __init__(self, data):
        self.client = self.frames(data)
        self._received = copy.copy(INITIAL_STATE)
        self._received.kinds = {kind: dict(found) for kind, found in INITIAL_STATE.kinds.items()}

    async def frames(self, data):
        for number, uuid in enumerate(UUIDS):
            data = data.replace(b"#%d" % number, uuid)
        for line in data.split(b"\n"):
            try:
                yield line.decode()
            except UnicodeDecodeError:
                yield line

    def send(self, frames):
        for frame in frames:
            self._received.apply(frame)

    @property
    def state(self):
        return self._received.kinds


class Log(logging.Handler):
    """Log handler that checks that all messages are printable and short."""

    def emit(self, record):
        assert record.getMessage().isprintable()
        assert (
            len(record.getMessage()) <= 300
        )  # a sentence, and up to 256 characters from the client


def begin():
    """Check the log messages of this process."""
    logger = logging.getLogger("basix_ws_cti.simulator")
    logger.addHandler(Log())
    logger.setLevel(logging.INFO)
    logger.propagate = False


def check(data):
    """Check that no input raises an exception, and that the client has the current state."""
    pbx = make_simulator(simulate_users=bool(data[:1].isspace()))
    client = Client(data)
    pbx.client_handler.feeds[client] = None
    run(pbx.client_handler.read_commands(client))
    assert client.state == pbx.pbx.snapshot()
    steps = 0
    while pbx.timeline.time_to_next is not None:
        pbx.timeline.step()
        steps += 1
        assert steps < 1000
    assert client.state == pbx.pbx.snapshot()
