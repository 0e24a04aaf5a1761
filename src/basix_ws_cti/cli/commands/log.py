"""Command ``log``: keeps a log of all calls in a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from basix_ws_cti._internal.translation import _, ngettext
from basix_ws_cti.cli.ages import parse_age
from basix_ws_cti.cli.database_argument import reject_password
from basix_ws_cti.cli.help import panels
from basix_ws_cti.cli.options import SourceOptions
from basix_ws_cti.cli.package_errors import missing_package

if TYPE_CHECKING:
    from basix_ws_cti.calllog import CallLog
    from basix_ws_cti.sources.source import Source

# Size from which the status line shows that SQLite's write-ahead log grows, in bytes. Without a
# reader that keeps a transaction open, the log stays below 4 MiB.
LARGE_WAL = 16 * 2**20

# Seconds between two checks whether a problem has appeared or ended.
_CHECK_INTERVAL = 1.0


def log_calls(
    database: Annotated[
        str,
        typer.Argument(
            metavar="DATABASE",
            help=_("SQLite file, created if missing, or URL: postgresql://USER@HOST/NAME."),
        ),
    ],
    source: SourceOptions,
    *,
    standby: Annotated[
        bool,
        typer.Option(
            "--standby",
            help=_("Wait while another process logs to the same file, and take over at its end."),
            rich_help_panel=panels.SELECTION,
        ),
    ] = False,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep",
            metavar="AGE",
            help=_("Delete older calls, such as 400d or 12h; default: keep all."),
            rich_help_panel=panels.SELECTION,
        ),
    ] = None,
    forget_numbers: Annotated[
        str | None,
        typer.Option(
            "--forget-numbers",
            metavar="AGE",
            help=_("Remove numbers and names of outside parties from older calls, such as 90d."),
            rich_help_panel=panels.SELECTION,
        ),
    ] = None,
    status: Annotated[
        float,
        typer.Option(
            "--status",
            metavar="SECONDS",
            help=_("Seconds between two lines about the state of the log on stderr."),
            min=0.1,
            rich_help_panel=panels.OUTPUT,
        ),
    ] = 3600.0,
) -> None:
    """Keep a log of all calls in a database, until Ctrl-C."""
    import asyncio

    from basix_ws_cti.cli.open_source import open_unpaced_source
    from basix_ws_cti.cli.output import report
    from basix_ws_cti.cli.signals import run_interruptible

    try:
        from basix_ws_cti.calllog import CallLog
    except ModuleNotFoundError as error:
        raise missing_package(error, "calllog") from None

    reject_password(database)
    log = CallLog(
        database,
        standby=standby,
        keep=parse_age("--keep", keep),
        forget_numbers=parse_age("--forget-numbers", forget_numbers),
        on_wait=lambda: report(
            _("waiting: another process logs to {database}").format(database=log.name)
        ),
    )

    async def follow() -> None:
        is_open = False
        try:
            async with log:
                is_open = True
                report(_("logging calls to {database}").format(database=log.name))
                async with open_unpaced_source(source, log.on_notice) as feed:
                    reports = asyncio.create_task(_report_status(log, feed, status))
                    try:
                        await log.record(feed)
                    finally:
                        reports.cancel()
        finally:
            if is_open:
                report(describe_status(log))

    run_interruptible(follow())


def describe_status(log: CallLog) -> str:
    """Return the state of the log as one line, without personal data."""
    health = log.health
    parts = [
        ngettext("{count:,} entry logged", "{count:,} entries logged", health.written).format(
            count=health.written
        )
    ]
    if health.pending:
        parts.append(_("{count:,} waiting").format(count=health.pending))
    if health.rejected:
        parts.append(_("{count:,} refused by the database").format(count=health.rejected))
    if health.dropped:
        parts.append(_("{count:,} dropped").format(count=health.dropped))
    if health.wal_size is not None and health.wal_size > LARGE_WAL:
        size = health.wal_size // 2**20
        parts.append(_("write-ahead log of {size:,} MiB: a reader is open").format(size=size))
    if health.problem is not None:
        parts.append(_("cannot write: {problem}").format(problem=health.problem))
    return ", ".join(parts)


async def _report_status(log: CallLog, source: Source, interval: float) -> None:
    """Report the state of log and feed at intervals, and when a problem appears or ends."""
    import asyncio

    from basix_ws_cti.board.feed_history import describe_state
    from basix_ws_cti.cli.output import report

    clock = asyncio.get_running_loop().time
    due, was_failing = clock() + interval, False
    while True:
        await asyncio.sleep(min(due - clock(), _CHECK_INTERVAL))
        is_failing = log.health.problem is not None
        if clock() >= due or is_failing != was_failing:
            report(f"{describe_status(log)}; {describe_state(source.state)}")
            due, was_failing = clock() + interval, is_failing
