"""Layout of commands in Redis: keys, requests, replies, and the scripts that decide about them.

A follower appends a *request* to a stream; the leader *claims* it, executes it, and writes a
*reply*. For the name ``basix``, all keys are in one slot of a cluster:

=======================  =========================================================================
``{basix}:commands``     exists while a leader that executes commands reads requests; with an expiry
``{basix}:requests``     stream of requests: fields ``id``, ``deadline`` and ``data``
``{basix}:claim:ID``     who decides about a request: the token of a leader's lease, or
                         ``withdrawn``; with an expiry
``{basix}:reply:ID``     list with one reply; with an expiry
=======================  =========================================================================

**At most once.** A claim is set once, in one script with the checks of lease and deadline, and not
removed before the deadline. Only the leader whose token it has executes the request. A request with
a claim and without a reply has an unknown outcome: its leader may have died before or after it sent
the command. A follower withdraws a request by claiming it itself: then no leader executes it.

**Time.** The deadline is in milliseconds of Redis (the command ``TIME``), so that the clocks of
followers and leaders do not matter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

from attrs import frozen

MAX_REQUESTS: Final = 1000
"""Number of requests that are kept, approximately."""

KEEP_REQUESTS: Final = 3600
"""Seconds after which the requests are deleted if no further one comes: they hold numbers."""

KEEP_ANSWERS: Final = 60
"""Seconds for which claims and replies are kept after the deadline."""

WITHDRAWN: Final = b"withdrawn"
"""Claim of a follower that gives up."""

NAMES: Final = ("hangup", "park", "transfer", "call_user", "call_group")
"""Names of the commands."""

# Largest deadline, in milliseconds: scripts of Redis calculate with numbers of 53 bits.
_MAX_DEADLINE: Final = 2**53

# Key: requests. Arguments: id, milliseconds until the deadline, data, number of requests to keep,
# and milliseconds for which they are kept.
SUBMIT: Final = """
local time = redis.call('TIME')
local deadline = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*',
  'id', ARGV[1], 'deadline', string.format('%.0f', deadline), 'data', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
"""
"""Script that appends a request."""

# Keys: lease, claim. Arguments: token of the lease, deadline, milliseconds to keep the claim after
# it. A claim with the same token is that of this leader, whose answer was lost.
CLAIM: Final = """
local time = redis.call('TIME')
local left = ARGV[2] - time[1] * 1000 - math.floor(time[2] / 1000)
if left <= 0 then return 0 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local held = redis.call('GET', KEYS[2])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', string.format('%.0f', left + ARGV[3]))
return math.floor(left)
"""
"""Script that claims a request for a leader; returns the milliseconds left, 0: it must not execute
the request."""

# Key: reply. Arguments: reply, milliseconds to keep it.
REPLY: Final = """
redis.call('RPUSH', KEYS[1], ARGV[1])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
"""Script that writes a reply."""

# Keys: claim, reply. Argument: milliseconds to keep the claim.
WITHDRAW: Final = """
local reply = redis.call('LPOP', KEYS[2])
if reply then return {'reply', reply} end
local held = redis.call('GET', KEYS[1])
if not held then
  redis.call('SET', KEYS[1], 'withdrawn', 'PX', ARGV[1])
  held = 'withdrawn'
end
return {'claim', held}
"""
"""Script that withdraws a request; returns ``reply`` and the reply if there is one, else ``claim``
and the claim."""


@frozen
class CommandKeys:
    """Keys of the commands of one stream."""

    name: str
    """Name of the stream."""

    @property
    def announcement(self) -> str:
        """Key that exists while a leader executes commands."""
        return f"{{{self.name}}}:commands"

    @property
    def requests(self) -> str:
        """Stream of requests."""
        return f"{{{self.name}}}:requests"

    def claim(self, request_id: str) -> str:
        """Return the key of a request's claim."""
        return f"{{{self.name}}}:claim:{request_id}"

    def reply(self, request_id: str) -> str:
        """Return the key of a request's reply."""
        return f"{{{self.name}}}:reply:{request_id}"


@frozen
class Request:
    """Command that a follower wants to have executed."""

    name: str
    """Name of the command: one of ``NAMES``."""
    arguments: dict[str, Any]
    """Keyword arguments of the command."""
    confirm: bool
    """True if its effect has to show before it counts as executed."""

    def to_json(self) -> str:
        """Return the request as JSON."""
        return json.dumps(
            {"v": 1, "name": self.name, "arguments": self.arguments, "confirm": self.confirm}
        )

    @classmethod
    def from_json(cls, data: bytes) -> Request | None:
        """Return the request in JSON; ``None``: it is none that this version knows."""
        try:
            value = json.loads(data)
            name, arguments, confirm = value["name"], value["arguments"], value["confirm"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        is_valid = name in NAMES and isinstance(arguments, dict) and isinstance(confirm, bool)
        return cls(name, arguments, confirm) if is_valid and value.get("v") == 1 else None


@frozen
class Submission:
    """Request in the stream."""

    request_id: str
    """Id of the request, chosen by the follower."""
    deadline: int
    """Deadline, in milliseconds of Redis."""
    timeout: float
    """Seconds from its submission to its deadline."""
    request: Request
    """The request."""

    @classmethod
    def from_entry(cls, entry_id: bytes, fields: Mapping[bytes, bytes]) -> Submission | None:
        """Return the request in an entry; ``None``: it is none that this version knows."""
        request = Request.from_json(fields.get(b"data", b""))
        try:
            deadline = int(fields.get(b"deadline", b""))
        except ValueError:
            return None
        if request is None or not 0 <= deadline <= _MAX_DEADLINE:
            return None
        submitted = int(entry_id.partition(b"-")[0])
        request_id = fields.get(b"id", b"").decode("ascii", "replace")
        return cls(request_id, deadline, (deadline - submitted) / 1000, request)


Outcome = Literal["done", "not_connected", "no_effect", "failed"]
"""What a leader reports: the command was sent, and its effect has shown if that was wanted; there
was no connection to the PBX, so it was not sent; it was sent without a visible effect; or it
failed."""


@frozen
class Reply:
    """Report of a leader about a request that it claimed."""

    outcome: Outcome
    """Outcome of the command."""
    problem: str = ""
    """For ``"failed"``: text of the error."""
    uuids: tuple[str, ...] = ()
    """For ``call_user`` and ``call_group``: uuids of the channels that ring."""

    def to_json(self) -> str:
        """Return the reply as JSON."""
        return json.dumps(
            {"outcome": self.outcome, "problem": self.problem, "uuids": [*self.uuids]}
        )

    @classmethod
    def from_json(cls, data: bytes) -> Reply:
        """Return the reply in JSON; unreadable JSON and an unknown outcome are failures."""
        try:
            value = json.loads(data)
            outcome, problem, uuids = value["outcome"], str(value["problem"]), value["uuids"]
            if outcome in get_args(Outcome):
                return cls(outcome, problem, tuple(map(str, uuids)))
        except (ValueError, TypeError, KeyError, RecursionError):
            pass
        return cls("failed", "the publisher's reply is unreadable")
