"""Command ``listen``: prints the events of a feed, line by line."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING, Annotated, Any

import typer
from attrs import field, frozen

from basix_ws_cti.cli.options import ConnectionOptions, TimezoneOption, parse_timezone
from basix_ws_cti.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from datetime import datetime

    from basix_ws_cti.cli.filters import Filters
    from basix_ws_cti.sources.source import Source

# Items after which the event loop gets control, for signals and the connection.
_ITEMS_PER_SLICE = 64

_ELEMENT_EVENTS = ("initial", "added", "updated", "removed")
_CALL_EVENTS = frozenset(
    ("started", "ringing", "answered", "parked", "retrieved", "transferred", "updated", "ended")
)


@frozen(kw_only=True)
class FeedOptions:
    """Options for the output of a feed. Each filter can be given several times."""

    json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON lines; the command schema prints their schema."),
    ] = False
    calls: Annotated[
        bool, typer.Option("--calls", help="Print call events instead of element events.")
    ] = False
    kind: Annotated[
        list[str],
        typer.Option(
            "--kind", help="Print only elements of this kind, such as channel or user (repeatable)."
        ),
    ] = field(default=(), converter=list)
    event: Annotated[
        list[str],
        typer.Option(
            "--event",
            help="Print only events of this name: initial, added, updated or removed; with "
            "--calls started, ringing, answered, … (repeatable).",
        ),
    ] = field(default=(), converter=list)
    user: Annotated[
        list[str],
        typer.Option(
            "--user",
            help="Print only events of the user with this id, name, extension or label "
            "(repeatable).",
        ),
    ] = field(default=(), converter=list)
    group: Annotated[
        list[str],
        typer.Option(
            "--group",
            help="Print only events of the group with this id, name, extension or label "
            "(repeatable).",
        ),
    ] = field(default=(), converter=list)
    number: Annotated[
        list[str],
        typer.Option(
            "--number",
            help="Print only events of this telephone number, in any notation (repeatable).",
        ),
    ] = field(default=(), converter=list)
    limit: Annotated[
        int | None, typer.Option("--limit", help="Stop after N lines.", metavar="N", min=1)
    ] = None
    timezone: TimezoneOption = None
    wide: Annotated[
        bool,
        typer.Option("--wide", help="Print complete lines, even if they exceed the terminal."),
    ] = False

    @property
    def zone(self) -> tzinfo | None:
        """Time zone for displayed times; ``None`` if not given.

        Raises ``UsageError`` for an unknown name.
        """
        return parse_timezone(self.timezone)

    def filters(self) -> Filters:
        """Return the filters. Raises ``UsageError`` if they can never match anything."""
        from basix_ws_cti.cli.filters import Filters

        if self.calls and self.kind:
            raise UsageError("--kind selects elements and cannot be combined with --calls")
        if self.calls and (unknown := sorted({*self.event} - _CALL_EVENTS)):
            raise UsageError(
                f"unknown call event {unknown[0]!r}; known: {', '.join(sorted(_CALL_EVENTS))}"
            )
        return Filters.parse(
            kinds=self.kind,
            events=self.event,
            users=self.user,
            groups=self.group,
            numbers=self.number,
        )


def print_feed(connection: ConnectionOptions, options: FeedOptions) -> None:
    """Print feed events line by line until interrupted; gaps are reported on stderr."""
    from basix_ws_cti.cli.open_source import open_selected_source
    from basix_ws_cti.cli.render.notices import NoticePrinter
    from basix_ws_cti.cli.signals import run_interruptible

    # Invalid options are reported before connecting.
    zone = options.zone
    options.filters()

    async def follow() -> None:
        async with open_selected_source(connection, NoticePrinter(zone)) as source:
            await print_source(source, options)

    run_interruptible(follow())


async def print_source(source: Source, options: FeedOptions) -> None:
    """Print a source's events until it ends or the limit is reached.

    Raises ``UsageError``, the error that ended the source, or ``BrokenPipeError`` if the reader
    of stdout is gone.
    """
    import asyncio
    import contextlib

    from basix_ws_cti.cli.output import report
    from basix_ws_cti.cli.stdout_pipe import stop_when_reader_closes, write_stdout
    from basix_ws_cti.messages import FieldSpec, InitialInfo

    filters = options.filters()
    _report_unknown_names(options)
    to_lines = _line_converter(source, options, filters)
    remaining = options.limit
    count = 0
    is_complete = False
    with stop_when_reader_closes():
        async with contextlib.aclosing(_items(source, options)) as items:
            async for at, item in items:
                if not is_complete and not isinstance(item, FieldSpec | InitialInfo):
                    is_complete = True  # the first event follows the complete snapshot
                    for option in filters.unmatched_options(source.mirror):
                        report(f"{option} matches no current id, name, extension or label")
                for line in to_lines(at, item):
                    await write_stdout(line)
                    if remaining is not None:
                        remaining -= 1
                        if not remaining:
                            return
                count += 1
                if count % _ITEMS_PER_SLICE == 0:
                    await asyncio.sleep(0)


async def _items(source: Source, options: FeedOptions) -> AsyncGenerator[tuple[datetime, Any]]:
    """Yield the items of a source that the options select."""
    import contextlib

    from basix_ws_cti.cli.render.ringing import combine_ringing

    if options.calls and not options.json:
        async with contextlib.aclosing(combine_ringing(source.call_events())) as combined:
            async for call_item in combined:
                yield call_item
        return
    async for entry in source.call_events() if options.calls else source.messages():
        yield entry


def _line_converter(
    source: Source, options: FeedOptions, filters: Filters
) -> Callable[[datetime, Any], Iterator[str]]:
    """Return the function that converts items of the source to lines."""
    from basix_ws_cti.cli.output import stdout_colouriser, terminal_width
    from basix_ws_cti.cli.render.json_lines import JsonLines
    from basix_ws_cti.cli.render.text_lines import TextLines

    if options.json:
        return JsonLines(source.mirror, filters, options.zone)
    return TextLines(
        source.mirror,
        filters,
        stdout_colouriser(),
        options.zone,
        of_calls=options.calls,
        width=(lambda: None) if options.wide else terminal_width(),
    )


def _report_unknown_names(options: FeedOptions) -> None:
    """Report kinds and events that this version does not know.

    They are no errors, because a newer PBX may send them.
    """
    from basix_ws_cti.cli.output import report
    from basix_ws_cti.parsing.record_decoder import ELEMENTS

    events = _CALL_EVENTS if options.calls else _ELEMENT_EVENTS
    for option, names, known in (
        ("kind", options.kind, ELEMENTS),
        ("event", options.event, events),
    ):
        for name in sorted({*names}.difference(known)):
            report(f"--{option} {name} is unknown; known: {', '.join(known)}")
