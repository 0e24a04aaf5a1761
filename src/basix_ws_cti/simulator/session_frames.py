"""What a client gets to see, as frames: for tests of parsers, without a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import scenarios
from .frame_writer import Writer
from .pbx import Pbx
from .timeline import Timeline

if TYPE_CHECKING:
    from .pbx import Key, Picture


def frames(
    story: str = "inbound_call",
    *,
    seed: int = 0,
    users: int = len(scenarios.STAFF),
    otp: int = 25,
    compressed: bool = False,
    older: bool = False,
) -> list[bytes]:
    """The frames of one connection: what there is, then one story from beginning to end.

    ``story`` is one of ``scenarios.STORIES``; another name is a ``ValueError``. The same
    arguments give the same bytes.
    """
    if story not in scenarios.STORIES:
        known = ", ".join(scenarios.STORIES)
        raise ValueError(f"there is no story {story!r}, but these: {known}")
    pbx, writer = Pbx(seed, older=older), Writer(otp=otp, compressed=compressed)
    scenarios.company(pbx, users)
    snapshot = pbx.snapshot()
    seen = opening(
        writer,
        {kind: [writer.record(kind, one) for one in snapshot[kind].values()] for kind in snapshot},
    )

    def see(kind: str, _: Key, picture: Picture, event_name: str) -> None:
        seen.append(writer.info_event(kind, writer.record(kind, picture), event_name))

    pbx.listeners.append(see)
    timeline = Timeline(pbx)
    timeline.start(scenarios.STORIES[story](pbx))
    while timeline.pause is not None:
        timeline.step()
    return seen


def opening(
    writer: Writer, records: dict[str, list[bytes]], *, specs_first: bool = True
) -> list[bytes]:
    """What a connection begins with: field_specs and initial_infos, of the records by kind.

    All field_specs come first, or each just before the initial_info of its kind.
    """
    specs = [writer.field_spec(kind) for kind in records]
    infos = [writer.initial_info(kind, written) for kind, written in records.items()]
    if specs_first:
        return specs + infos
    return [frame for pair in zip(specs, infos, strict=True) for frame in pair]
