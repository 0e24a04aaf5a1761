"""Fuzzing what a client says to the simulated PBX: nonsense is ignored, and the PBX lives on.

An input is what one client sends, its frames divided by line ends; those that are no UTF-8
are binary frames. ``#0`` and so on stand for the channels' uuids, which are hard to guess.
"""

from __future__ import annotations

import copy
import json
import logging
import random

from offline import run, simulator
from support.feed_follower import FeedMirror, element_records

from basix_ws_cti.simulator.access_control import FeedRequest
from basix_ws_cti.simulator.session_frames import initial_frames

MAX_LEN = 256


def stage(*, lively):
    """A simulator in which a call goes on, another one rings, and a user listens in."""
    pbx = simulator(users=4)
    pbx._simulate_users = lively  # there are people, but none of a day's calls
    pbx.answer(pbx.call("09011112222", to="1001"))
    pbx.call("0312341234", to="1002")
    pbx.originate("1003", "media_plug")
    return pbx


WORLD = stage(lively=False)
UUIDS = [uuid.encode() for uuid in WORLD.pbx.channels]
FIRST_SIGHT = FeedMirror(initial_frames(WORLD.writer, element_records(WORLD.writer, WORLD.pbx)))


def seeds():
    """Each command, of each of the channels that there are."""
    uuids = [f"#{number}" for number in range(len(UUIDS))]
    for uuid in uuids:
        yield commands({"cmd": "hangup", "uuid": uuid})
        yield commands({"cmd": "park", "uuid": uuid, "timeout": 20})
        for other in uuids:
            yield commands(
                {"cmd": "park", "uuid": uuid},
                {"cmd": "transfer", "uuid": other, "user_id": 10001002, "user_name": "user2"},
            )
            yield commands(
                {"cmd": "eavesdrop", "uuid": uuid, "target_uuid": other, "subcommand": "barge"},
                {"cmd": "transfer", "uuid": other, "destination": "0501112222"},
                {"cmd": "hangup", "uuid": other},
            )


def commands(*given):
    return b"\n".join(json.dumps(one).encode() for one in given)


# What a part of a command may be, for better or worse.
VALUES = [
    *(None, True, False, 0, -1, 1e-9, 0.5, 999999, 1e400, 10**30, 10001003, "", "#0", "1002"),
    *("0501112222", "media_plug", "911", "*", "%", "é", "\udcff", "x" * 60, [], ["#1"], {}),
    *("hangup", "park", "transfer", "eavesdrop", "uuid", {"cmd": "park"}),
]
NAMES = ["cmd", "uuid", "target_uuid", "user_id", "user_name", "destination", "timeout", "x"]


def mutate(data, max_size, seed):
    """Change a byte somewhere, or a part of a command."""
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


# -- what is checked --------------------------------------------------------------------


class Client:
    """Both ends of a connection: what the client says, and what it makes of what it hears."""

    user_id = last_event = None
    request = FeedRequest("fuzz")

    def __init__(self, data):
        self.client = self.says(data)
        self._picture = copy.copy(FIRST_SIGHT)
        self._picture.kinds = {kind: dict(found) for kind, found in FIRST_SIGHT.kinds.items()}

    async def says(self, data):
        for number, uuid in enumerate(UUIDS):
            data = data.replace(b"#%d" % number, uuid)
        for line in data.split(b"\n"):
            try:
                yield line.decode()
            except UnicodeDecodeError:
                yield line

    def send(self, frames):
        for frame in frames:
            self._picture.apply(frame)

    def sees(self):
        return self._picture.kinds


class Log(logging.Handler):
    """What the PBX says of a client's nonsense is fit for a log."""

    def emit(self, record):
        assert record.getMessage().isprintable()
        assert len(record.getMessage()) <= 300  # a sentence, and 256 characters of theirs


def begin():
    """Look at what is logged, in this process, from now on."""
    logger = logging.getLogger("basix_ws_cti.simulator")
    logger.addHandler(Log())
    logger.setLevel(logging.INFO)
    logger.propagate = False


def check(data):
    """Whatever a client says, and however life goes on: nothing is raised, and it sees all."""
    pbx = stage(lively=bool(data[:1].isspace()))
    client = Client(data)
    pbx._client_handler.feeds[client] = None
    run(pbx._client_handler.read_commands(client))
    assert client.sees() == pbx.pbx.snapshot()
    steps = 0
    while pbx.timeline.time_to_next is not None:
        pbx.timeline.step()
        steps += 1
        assert steps < 1000
    assert client.sees() == pbx.pbx.snapshot()
