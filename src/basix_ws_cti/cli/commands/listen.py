"""Command ``listen``: prints the events of a feed, line by line."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING, Annotated, Any

import typer
from attrs import field, frozen

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.completion import complete_events
from basix_ws_cti.cli.feed_names import check_events, check_kinds
from basix_ws_cti.cli.help import panels
from basix_ws_cti.cli.options import (
    DEFAULT_COUNTRY_CODE,
    AllowUnknownOption,
    CountryCodeOption,
    KindOption,
    SourceOptions,
    TimezoneOption,
    parse_timezone,
)
from basix_ws_cti.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from datetime import datetime

    from basix_ws_cti.alerts.rule import AlertRule
    from basix_ws_cti.cli.filters import Filters
    from basix_ws_cti.mirror.mirror import Mirror
    from basix_ws_cti.sources.source import Source

# Items after which the event loop gets control, for signals and the connection.
_ITEMS_PER_SLICE = 64


@frozen(kw_only=True)
class FeedOptions:
    """Options for the output of a feed. Each filter can be given several times."""

    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help=_("Print JSON lines; the command schema prints their schema."),
            rich_help_panel=panels.OUTPUT,
        ),
    ] = False
    calls: Annotated[
        bool,
        typer.Option(
            "--calls",
            help=_("Print call events instead of element events."),
            rich_help_panel=panels.OUTPUT,
        ),
    ] = False
    alerts: Annotated[
        list[str],
        typer.Option(
            "--alerts",
            metavar="RULE",
            help=_(
                "Also print when an alert begins and ends. RULE is longest-wait>60s, waiting>5, "
                "waiting>5@QUEUE, feed-lost>30s or service-level<80% (repeatable)."
            ),
            rich_help_panel=panels.OUTPUT,
        ),
    ] = field(default=(), converter=list)
    only_alerts: Annotated[
        bool,
        typer.Option(
            "--only-alerts",
            help=_("Print nothing but the alerts."),
            rich_help_panel=panels.OUTPUT,
        ),
    ] = False
    kind: KindOption = field(default=(), converter=list)
    event: Annotated[
        list[str],
        typer.Option(
            "--event",
            metavar="EVENT",
            help=_(
                "Print only events of this name: initial, added, updated or removed; with "
                "--calls started, ringing, answered, … (repeatable)."
            ),
            autocompletion=complete_events,
            rich_help_panel=panels.SELECTION,
        ),
    ] = field(default=(), converter=list)
    user: Annotated[
        list[str],
        typer.Option(
            "--user",
            metavar="USER",
            help=_(
                "Print only events of the user with this id, name, extension or label (repeatable)."
            ),
            rich_help_panel=panels.SELECTION,
        ),
    ] = field(default=(), converter=list)
    group: Annotated[
        list[str],
        typer.Option(
            "--group",
            metavar="GROUP",
            help=_(
                "Print only events of the group with this id, name, extension or label "
                "(repeatable)."
            ),
            rich_help_panel=panels.SELECTION,
        ),
    ] = field(default=(), converter=list)
    number: Annotated[
        list[str],
        typer.Option(
            "--number",
            metavar="NUMBER",
            help=_("Print only events of this telephone number, in any notation (repeatable)."),
            rich_help_panel=panels.SELECTION,
        ),
    ] = field(default=(), converter=list)
    country_code: CountryCodeOption = DEFAULT_COUNTRY_CODE
    allow_unknown: AllowUnknownOption = False
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            help=_("Stop after N lines."),
            min=1,
            rich_help_panel=panels.OUTPUT,
        ),
    ] = None
    timezone: TimezoneOption = None
    wide: Annotated[
        bool,
        typer.Option(
            "--wide",
            help=_("Print complete lines, even if they exceed the terminal."),
            rich_help_panel=panels.OUTPUT,
        ),
    ] = False

    @property
    def zone(self) -> tzinfo | None:
        """Time zone for displayed times; ``None`` if not given.

        Raises ``UsageError`` for an unknown name.
        """
        return parse_timezone(self.timezone)

    def check_for_state(self) -> None:
        """Raise ``UsageError`` for an option that selects events, which a state does not have."""
        for name in ("event", "user", "group", "number", "limit", "alerts"):
            if getattr(self, name):
                message = _("--{option} selects events and cannot be combined with --state")
                raise UsageError(message.format(option=name))

    def alert_rules(self) -> list[AlertRule]:
        """Return the rules of alerts. Raises ``UsageError`` for a text that is no rule."""
        from basix_ws_cti.cli.alert_items import parse_rules

        return parse_rules(self.alerts, only_alerts=self.only_alerts)

    def filters(self) -> Filters:
        """Return the filters. Raises ``UsageError`` if they can never match anything."""
        from basix_ws_cti.cli.filters import Filters

        if self.calls and self.kind:
            raise UsageError(_("--kind selects elements and cannot be combined with --calls"))
        if not self.allow_unknown:
            check_kinds(self.kind)
        if self.calls or not self.allow_unknown:  # only elements can have events of a newer PBX
            check_events(self.event, calls=self.calls)
        return Filters.parse(
            kinds=self.kind,
            events=self.event,
            users=self.user,
            groups=self.group,
            numbers=self.number,
            country_code=self.country_code.removeprefix("+"),
        )


def print_feed(connection: SourceOptions, options: FeedOptions) -> None:
    """Print feed events line by line until interrupted; gaps are reported on stderr."""
    from basix_ws_cti.cli.open_source import open_shown_source
    from basix_ws_cti.cli.render.notices import NoticePrinter
    from basix_ws_cti.cli.signals import run_interruptible

    # Invalid options are reported before connecting.
    zone = options.zone
    names = Names(options)

    async def follow() -> None:
        async with open_shown_source(connection, NoticePrinter(zone)) as source:
            # A recorded source cannot be waited for while it is iterated over.
            printing = _print_live if connection.recording is None else print_source
            await printing(source, options, names)

    run_interruptible(follow())


async def _print_live(source: Source, options: FeedOptions, names: Names) -> None:
    """Print a live source, and check names of users and groups once the snapshot is complete.

    ``print_source`` checks them with the first item, which for calls may be long after that.
    """
    from basix_ws_cti.cli.side_tasks import run_beside

    if not names.are_checked_early:
        await print_source(source, options, names)
        return

    async def check_names() -> None:
        names.check(await source.synced())

    async with run_beside(check_names()):
        await print_source(source, options, names)


class Names:
    """Names of users, groups and queues in the options, which only the feed knows.

    Raises ``UsageError`` for options that can never match anything.
    """

    def __init__(self, options: FeedOptions) -> None:
        self.filters: Filters = options.filters()
        """Filters of the options."""
        self.rules: list[AlertRule] = options.alert_rules()
        """Rules of alerts in the options."""
        has_queues = any(isinstance(rule.queue, str) for rule in self.rules)
        self.are_checked: bool = options.allow_unknown or not (self.filters.has_names or has_queues)
        """True if there is nothing to check, or if it was checked."""
        self.are_checked_early: bool = not self.are_checked and (
            has_queues or (options.calls and self.filters.has_names)
        )
        """True if the check must not wait for the first item."""

    def check(self, mirror: Mirror) -> None:
        """Raise ``UsageError`` for a name that is not in a mirror."""
        from basix_ws_cti.cli.alert_items import check_queues

        self.are_checked = True
        self.filters.check_names(mirror)
        check_queues(self.rules, mirror)


async def print_source(source: Source, options: FeedOptions, names: Names | None = None) -> None:
    """Print a source's events until it ends or the limit is reached.

    ``names``: what was read from the options; ``None``: they are read now.

    Raises ``UsageError``, the error that ended the source, or ``BrokenPipeError`` if the reader
    of stdout is gone.
    """
    import asyncio
    import contextlib

    from basix_ws_cti.cli.stdout_pipe import stop_when_reader_closes, write_stdout
    from basix_ws_cti.session.status import Synced

    names = names or Names(options)
    to_lines = _line_converter(source, options, names.filters)
    remaining = options.limit
    count = 0
    with stop_when_reader_closes():
        async with contextlib.aclosing(_items(source, options, names.rules)) as items:
            async for at, item in items:
                if not names.are_checked and isinstance(source.state, Synced):
                    names.check(source.mirror)
                for line in to_lines(at, item):
                    await write_stdout(line)
                    if remaining is not None:
                        remaining -= 1
                        if not remaining:
                            return
                count += 1
                if count % _ITEMS_PER_SLICE == 0:
                    await asyncio.sleep(0)


async def _items(
    source: Source, options: FeedOptions, rules: list[AlertRule]
) -> AsyncGenerator[tuple[datetime, Any]]:
    """Yield the items of a source that the options select, with alerts among them."""
    import contextlib

    from basix_ws_cti.cli.alert_items import with_alerts

    items = _feed_items(source, options)
    merged = items
    if rules:
        merged = with_alerts(source, rules, items, only_alerts=options.only_alerts)
    async with contextlib.aclosing(items), contextlib.aclosing(merged):
        async for entry in merged:
            yield entry


async def _feed_items(source: Source, options: FeedOptions) -> AsyncGenerator[tuple[datetime, Any]]:
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
