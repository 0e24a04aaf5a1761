"""The frames of one connection to the simulated PBX, for tests that need no connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from basix_ws_cti._internal.arguments import check_integer
from basix_ws_cti.exceptions import UsageError

from . import scenarios
from .frame_writer import Writer
from .pbx import Pbx
from .timeline import Timeline

if TYPE_CHECKING:
    from .model import Fields, Key


def frames(
    scenario: str = "inbound_call",
    *,
    seed: int = 0,
    users: int = len(scenarios.STAFF),
    otp: int = 25,
    compressed: bool = False,
    older: bool = False,
) -> list[bytes]:
    """Return the frames of one connection: the snapshot, then one scenario to its end.

    The same arguments give the same bytes. Raises ``UsageError`` for invalid arguments.

    :param scenario: name of one of ``scenarios.SCENARIOS``.
    :param seed: seed of the random decisions.
    :param users: number of users.
    :param otp: Erlang/OTP release of the server: 25 (Latin-1 atoms) or 26 (UTF-8 atoms).
    :param compressed: send a frame as a compressed term if that is shorter.
    :param older: send the kinds of an older server.
    """
    if scenario not in scenarios.SCENARIOS:
        known = ", ".join(scenarios.SCENARIOS)
        raise UsageError(f"unknown scenario {scenario!r}; known are: {known}")
    check_integer("users", users)
    pbx, writer = Pbx(seed, older=older), Writer(otp=otp, compressed=compressed)
    scenarios.populate(pbx, users)
    snapshot = pbx.snapshot()
    sent = initial_frames(
        writer,
        {kind: [writer.record(kind, one) for one in snapshot[kind].values()] for kind in snapshot},
    )

    def send(kind: str, _: Key, fields: Fields, event_name: str) -> None:
        sent.append(writer.info_event(kind, writer.record(kind, fields), event_name))

    pbx.listeners.append(send)
    timeline = Timeline(pbx)
    timeline.start(scenarios.SCENARIOS[scenario](pbx))
    while timeline.time_to_next is not None:
        timeline.step()
    return sent


def initial_frames(
    writer: Writer, records: dict[str, list[bytes]], *, specs_first: bool = True
) -> list[bytes]:
    """Return the first frames of a connection: the field_spec and initial_info of each kind.

    ``records`` are the encoded elements by kind. With ``specs_first``, all field_specs come
    before the first initial_info; else each comes just before the initial_info of its kind.
    """
    specs = [writer.field_spec(kind) for kind in records]
    infos = [writer.initial_info(kind, encoded) for kind, encoded in records.items()]
    if specs_first:
        return specs + infos
    return [frame for pair in zip(specs, infos, strict=True) for frame in pair]
