"""``listen``: what happens, line by line, as it happens."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING, Annotated

import typer
from attrs import field, frozen

from basix_ws_cti.cli.options import ConnectionOptions, Timezone, zone
from basix_ws_cti.exceptions import UsageError

if TYPE_CHECKING:
    from basix_ws_cti.cli.filters import Filters
    from basix_ws_cti.sources.source import Source

# Items after which others get their turn: signals, the connection.
_BURST = 64

_EVENTS = ("initial", "added", "updated", "removed")
_CALL_EVENTS = frozenset(
    ("started", "ringing", "answered", "parked", "retrieved", "transferred", "updated", "ended")
)


@frozen(kw_only=True)
class Showing:
    """What is shown of a feed, and how. The filters can be given several times each."""

    json: Annotated[bool, typer.Option("--json", help="JSON lines: see the command schema")] = False
    calls: Annotated[bool, typer.Option("--calls", help="what happens to calls")] = False
    kind: Annotated[list[str], typer.Option("--kind", help="of elements: channel, user, …")] = (
        field(default=(), converter=list)
    )
    event: Annotated[
        list[str],
        typer.Option("--event", help="initial, added, updated, removed; of a call: started, …"),
    ] = field(default=(), converter=list)
    user: Annotated[list[str], typer.Option("--user", help="id, name, extension or label")] = field(
        default=(), converter=list
    )
    group: Annotated[list[str], typer.Option("--group", help="id, name, extension or label")] = (
        field(default=(), converter=list)
    )
    number: Annotated[
        list[str], typer.Option("--number", help="a telephone number, however written")
    ] = field(default=(), converter=list)
    limit: Annotated[int | None, typer.Option("--limit", help="lines, then end", min=1)] = None
    timezone: Timezone = None

    @property
    def zone(self) -> tzinfo | None:
        """The time zone that is asked for; ``UsageError``: there is none of that name."""
        return zone(self.timezone)

    def filters(self) -> Filters:
        """The filters; ``UsageError`` for what can select nothing."""
        from basix_ws_cti.cli.filters import Filters

        if self.calls and self.kind:
            raise UsageError("--kind selects elements, and with --calls there are none")
        if self.calls and (unknown := sorted({*self.event} - _CALL_EVENTS)):
            raise UsageError(
                f"no call event is named {unknown[0]}: there are {', '.join(sorted(_CALL_EVENTS))}"
            )
        return Filters.of(
            kinds=self.kind,
            events=self.event,
            users=self.user,
            groups=self.group,
            numbers=self.number,
        )


def listen(connection: ConnectionOptions, showing: Showing) -> None:
    """What happens, line by line, as it happens; gaps are told on stderr."""
    from basix_ws_cti.cli.open_source import open_selected_source
    from basix_ws_cti.cli.render.notices import Notices
    from basix_ws_cti.cli.signals import run

    zone = showing.zone
    showing.filters()

    async def follow() -> None:
        async with open_selected_source(connection, Notices(zone)) as source:
            await show(source, showing)

    run(follow())


async def show(source: Source, showing: Showing) -> None:
    """Print what a source tells until it ends, or nobody reads, or the limit is reached.

    Raises ``UsageError``, what ends the source, and ``BrokenPipeError``.
    """
    import asyncio

    from basix_ws_cti.cli.output import painter, say
    from basix_ws_cti.cli.render.feed_lines import JsonLines, Prose
    from basix_ws_cti.cli.stdout_pipe import while_read, write
    from basix_ws_cti.messages import FieldSpec, InitialInfo
    from basix_ws_cti.parsing.record_decoder import ELEMENTS

    filters = showing.filters()
    # A newer PBX may send them; but more often somebody mistyped, and would wait for ever.
    for sort, known in (("kind", ELEMENTS), ("event", _CALL_EVENTS if showing.calls else _EVENTS)):
        for name in sorted({*getattr(showing, sort)}.difference(known)):
            say(f"--{sort} {name} is none of those that are known: {', '.join(known)}")
    lines = (
        JsonLines(source.mirror, filters, showing.zone)
        if showing.json
        else Prose(source.mirror, filters, painter(), showing.zone)
    )
    left = showing.limit
    told = 0
    strangers: list[str] | None = None
    with while_read():
        async for at, item in source.call_events() if showing.calls else source.messages():
            if strangers is None and not isinstance(item, FieldSpec | InitialInfo):
                strangers = filters.strangers(source.mirror)  # it is whole by now
                for option in strangers:
                    say(f"{option} fits nobody there is now, by id, name, extension or label")
            for line in lines(at, item):
                await write(line)
                if left is not None:
                    left -= 1
                    if not left:
                        return
            told += 1
            if told % _BURST == 0:
                await asyncio.sleep(0)
