"""Command ``webhook``: sends call events to a web server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from attrs import field, frozen

from basix_ws_cti._internal.translation import _, ngettext
from basix_ws_cti.cli.ages import parse_age
from basix_ws_cti.cli.feed_names import check_events
from basix_ws_cti.cli.help import panels
from basix_ws_cti.cli.options import DEFAULT_COUNTRY_CODE, CountryCodeOption, SourceOptions
from basix_ws_cti.cli.webhook_options import (
    DEFAULT_SPOOL,
    SecretFileOption,
    SpoolOption,
    complete_call_events,
)

if TYPE_CHECKING:
    from basix_ws_cti.alerts.rule import AlertRule
    from basix_ws_cti.bridges import Webhook
    from basix_ws_cti.cli.filters import Filters
    from basix_ws_cti.sources.source import Source

# Seconds between two checks whether a problem has appeared or ended.
_CHECK_INTERVAL = 1.0

# Seconds between two reports of new dead letters: a web server may refuse every event.
_LETTERS_INTERVAL = 60.0


@frozen(kw_only=True)
class SelectionOptions:
    """Options that select call events. Each can be given several times."""

    event: Annotated[
        list[str],
        typer.Option(
            "--event",
            metavar="EVENT",
            help=_("Send only events of this name: started, ringing, answered, … (repeatable)."),
            autocompletion=complete_call_events,
            rich_help_panel=panels.SELECTION,
        ),
    ] = field(default=(), converter=list)
    user: Annotated[
        list[str],
        typer.Option(
            "--user",
            metavar="USER",
            help=_(
                "Send only calls of the user with this id, name, extension or label (repeatable)."
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
                "Send only calls of the group, such as a queue, with this id, name, extension or "
                "label (repeatable)."
            ),
            rich_help_panel=panels.SELECTION,
        ),
    ] = field(default=(), converter=list)
    number: Annotated[
        list[str],
        typer.Option(
            "--number",
            metavar="NUMBER",
            help=_("Send only calls of this telephone number, in any notation (repeatable)."),
            rich_help_panel=panels.SELECTION,
        ),
    ] = field(default=(), converter=list)
    alerts: Annotated[
        list[str],
        typer.Option(
            "--alerts",
            metavar="RULE",
            help=_(
                "Also send when an alert begins and ends. RULE is longest-wait>60s, waiting>5, "
                "waiting>5@QUEUE, feed-lost>30s or service-level<80% (repeatable)."
            ),
            rich_help_panel=panels.SELECTION,
        ),
    ] = field(default=(), converter=list)
    only_alerts: Annotated[
        bool,
        typer.Option(
            "--only-alerts",
            help=_("Send alerts and gaps, but no call events."),
            rich_help_panel=panels.SELECTION,
        ),
    ] = False
    country_code: CountryCodeOption = DEFAULT_COUNTRY_CODE
    allow_unknown: Annotated[
        bool,
        typer.Option(
            "--allow-unknown",
            help=_("Accept users and groups that the PBX does not have."),
            rich_help_panel=panels.SELECTION,
        ),
    ] = False

    def alert_rules(self) -> list[AlertRule]:
        """Return the rules of alerts. Raises ``UsageError`` for a text that is no rule."""
        from basix_ws_cti.cli.alert_items import parse_rules

        return parse_rules(self.alerts, only_alerts=self.only_alerts)

    def filters(self) -> Filters:
        """Return the filters. Raises ``UsageError`` if they can never match anything."""
        from basix_ws_cti.cli.filters import Filters

        check_events(self.event, calls=True)
        return Filters.parse(
            events=self.event,
            users=self.user,
            groups=self.group,
            numbers=self.number,
            country_code=self.country_code.removeprefix("+"),
        )


@frozen(kw_only=True)
class DeliveryOptions:
    """Options for the spool, and for the requests."""

    spool: SpoolOption = DEFAULT_SPOOL
    secret_file: SecretFileOption = None
    max_events: Annotated[
        int,
        typer.Option(
            "--max-events",
            metavar="N",
            help=_("Number of events that may wait; beyond it, the oldest ones are dropped."),
            min=1,
            rich_help_panel=panels.DELIVERY,
        ),
    ] = 100_000
    max_age: Annotated[
        str,
        typer.Option(
            "--max-age",
            metavar="AGE",
            help=_("Drop events that are not delivered after this time, such as 12h."),
            rich_help_panel=panels.DELIVERY,
        ),
    ] = "3d"
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            help=_("Maximum time for one request, in seconds."),
            min=0.1,
            rich_help_panel=panels.DELIVERY,
        ),
    ] = 15.0
    connections: Annotated[
        int,
        typer.Option(
            "--connections",
            metavar="N",
            help=_("Number of requests at a time; events of one call follow one another."),
            min=1,
            max=100,
            rich_help_panel=panels.DELIVERY,
        ),
    ] = 8
    receiver_ca_file: Annotated[
        Path | None,
        typer.Option(
            "--receiver-ca-file",
            metavar="FILE",
            help=_("PEM file with the certificate of a private CA to trust for the web server."),
            rich_help_panel=panels.DELIVERY,
        ),
    ] = None
    drain: Annotated[
        float,
        typer.Option(
            "--drain",
            metavar="SECONDS",
            help=_("Time to deliver what is left after the end of a recording, in seconds."),
            min=0,
            rich_help_panel=panels.DELIVERY,
        ),
    ] = 60.0
    status: Annotated[
        float,
        typer.Option(
            "--status",
            metavar="SECONDS",
            help=_("Seconds between two lines about the state of the webhook on stderr."),
            min=0.1,
            rich_help_panel=panels.OUTPUT,
        ),
    ] = 3600.0

    def webhook(self, url: str) -> Webhook:
        """Return the webhook. Raises ``UsageError`` for options that cannot work."""
        from basix_ws_cti.bridges import Webhook
        from basix_ws_cti.cli.files import load_ca
        from basix_ws_cti.cli.webhook_secrets import read_secrets

        max_age = parse_age("--max-age", self.max_age)
        ca_file = self.receiver_ca_file
        assert max_age is not None  # noqa: S101 - for the type checker
        return Webhook(
            url,
            secrets=read_secrets(self.secret_file),
            spool=self.spool,
            max_events=self.max_events,
            max_age=max_age,
            timeout=self.timeout,
            connections=self.connections,
            ssl=None if ca_file is None else load_ca("--receiver-ca-file", ca_file),
        )


def send_events(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            envvar="BASIX_WEBHOOK_URL",
            help=_("Web server that receives the events: https://…, or http:// to this machine."),
        ),
    ],
    source: SourceOptions,
    selection: SelectionOptions,
    delivery: DeliveryOptions,
) -> None:
    """Send call events to a web server, signed, until Ctrl-C."""
    from basix_ws_cti.cli.output import report
    from basix_ws_cti.cli.signals import run_interruptible

    selection.alert_rules()  # an invalid one is reported before connecting
    filters = selection.filters()
    webhook = delivery.webhook(url)

    async def follow() -> None:
        is_open = False
        try:
            async with webhook:
                is_open = True
                report(
                    _("sending call events to {address}; spool: {file}").format(
                        address=webhook.address, file=webhook.spool
                    )
                )
                if (aside := webhook.health.put_aside) is not None:
                    message = _("the spool was damaged: it was renamed to {file}")
                    report(message.format(file=aside))
                await _send(webhook, source, filters, selection, delivery)
        finally:
            if is_open:
                report(describe_status(webhook))
        if (lost := describe_loss(webhook)) is not None:
            report(lost)
            raise typer.Exit(1)

    run_interruptible(follow())


async def _send(
    webhook: Webhook,
    options: SourceOptions,
    filters: Filters,
    selection: SelectionOptions,
    delivery: DeliveryOptions,
) -> None:
    """Send the events of the selected feed until it ends."""
    from basix_ws_cti.calls.event_json import event_name
    from basix_ws_cti.cli.alert_items import check_queues
    from basix_ws_cti.cli.open_source import open_unpaced_source
    from basix_ws_cti.cli.side_tasks import run_beside

    rules = selection.alert_rules()
    is_live = options.recording is None
    async with open_unpaced_source(options, webhook.on_notice) as feed:

        def where(event: Any) -> bool:
            if selection.only_alerts:
                return False
            return filters.match_call(event.call, event_name(type(event)), feed.mirror)

        async def check_names() -> None:
            mirror = await feed.synced()
            filters.check_names(mirror)
            check_queues(rules, mirror)

        others = [_report_status(webhook, feed, delivery.status)]
        # A recorded source cannot be waited for while it is iterated over.
        if is_live and not selection.allow_unknown:
            others.append(check_names())
        async with run_beside(*others):
            await webhook.run(
                feed, where=where, alerts=rules, when_full="drop" if is_live else "wait"
            )
    await webhook.drained(delivery.drain)


def describe_status(webhook: Webhook) -> str:
    """Return the state of a webhook as one line, without personal data."""
    health = webhook.health
    parts = [
        ngettext(
            "{count:,} event delivered", "{count:,} events delivered", health.delivered
        ).format(count=health.delivered)
    ]
    if health.waiting:
        parts.append(_("{count:,} waiting").format(count=health.waiting))
    if health.dead_letters:
        parts.append(
            ngettext("{count:,} dead letter", "{count:,} dead letters", health.dead_letters).format(
                count=health.dead_letters
            )
        )
    if health.dropped:
        parts.append(_("{count:,} dropped").format(count=health.dropped))
    if health.problem is not None:
        parts.append(_("last failure: {problem}").format(problem=health.problem))
    if health.spool_problem is not None:
        parts.append(_("cannot write the spool: {problem}").format(problem=health.spool_problem))
    return ", ".join(parts)


def describe_loss(webhook: Webhook) -> str | None:
    """Return a line about events that were not delivered; ``None`` if all were.

    For the end of a feed; whoever stops the command knows that events may wait.
    """
    health = webhook.health
    if health.dropped:
        return _("not every event was delivered: {count:,} dropped").format(count=health.dropped)
    if health.waiting:
        message = _("not every event was delivered: {count:,} wait for the next start")
        return message.format(count=health.waiting)
    return None


async def _report_status(webhook: Webhook, source: Source, interval: float) -> None:
    """Report the state of webhook and feed at intervals, and when a problem appears or ends."""
    import asyncio

    from basix_ws_cti.board.feed_history import describe_state
    from basix_ws_cti.cli.output import report

    clock = asyncio.get_running_loop().time
    due = clock() + interval
    letters_due, letters = clock(), webhook.health.dead_letters
    was_healthy = True
    while True:
        await asyncio.sleep(min(due - clock(), _CHECK_INTERVAL))
        health = webhook.health
        is_healthy = health.is_receiver_available and health.spool_problem is None
        has_refused = health.dead_letters > letters and clock() >= letters_due
        if clock() >= due or is_healthy != was_healthy or has_refused:
            report(f"{describe_status(webhook)}; {describe_state(source.state)}")
            due, was_healthy = clock() + interval, is_healthy
            letters_due, letters = clock() + _LETTERS_INTERVAL, health.dead_letters
