"""Command ``doctor``: examines the connection to a feed step by step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from basix_ws_cti._internal.stream_defaults import DEFAULT_NAME
from basix_ws_cti._internal.translation import N_, _, use_language
from basix_ws_cti.cli.exit_codes import ExitCode
from basix_ws_cti.cli.options import ConnectionOptions
from basix_ws_cti.cli.output import fit_text, plain_console, write_json
from basix_ws_cti.cli.redis_options import RedisCaFileOption, RedisStreamOption, redis_url
from basix_ws_cti.exceptions import UsageError

if TYPE_CHECKING:
    from basix_ws_cti.cli.diagnostics.feed_facts import FeedFacts
    from basix_ws_cti.cli.diagnostics.findings import Finding

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}

# Displayed text of marks and steps.
_MARK_TEXTS = {
    "ok": N_("ok"),
    "warning": N_("warning"),
    "failed": N_("failed"),
    "skipped": N_("skipped"),
}
_STEP_TEXTS = {
    "options": N_("options"),
    "dns": N_("dns"),
    "tcp": N_("tcp"),
    "tls": N_("tls"),
    "http": N_("http"),
    "login": N_("login"),
    "limit": N_("limit"),
    "field_spec": N_("field_spec"),
    "snapshot": N_("snapshot"),
    "pings": N_("pings"),
    "redis": N_("redis"),
    "memory": N_("memory"),
    "saving": N_("saving"),
    "permissions": N_("permissions"),
}

# Exit code for a failed step; for all other steps it is CONNECTION.
_EXIT_CODES = {"options": ExitCode.USAGE, "login": ExitCode.AUTHENTICATION}


def run_doctor(
    connection: ConnectionOptions,
    *,
    json: Annotated[
        bool, typer.Option("--json", help=_("Print one JSON line for each step."))
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help=_("Maximum time that a step waits for an answer, in seconds."),
            min=0.1,
        ),
    ] = 10,
    facts: Annotated[
        bool,
        typer.Option(
            "--facts",
            help=_(
                "Print the form of this PBX's feed instead, without personal data, as Markdown."
            ),
        ),
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            metavar="SECONDS",
            help=_("Time to listen with --facts, in seconds; default: until Ctrl-C."),
            min=0.1,
        ),
    ] = None,
    recording: Annotated[
        Path | None,
        typer.Option(
            "--recording",
            metavar="FILE",
            help=_("Recording to take the facts from, instead of a connection; - is stdin."),
        ),
    ] = None,
    redis: Annotated[
        str | None,
        typer.Option(
            "--redis",
            metavar="URL",
            help=_("Check this Redis server, which carries the feed, instead of the PBX."),
        ),
    ] = None,
    redis_stream: RedisStreamOption = DEFAULT_NAME,
    redis_ca_file: RedisCaFileOption = None,
) -> None:
    """Examine the connection to the feed step by step, and print advice.

    The first failed step ends the examination. The exit code is 0 if no step failed, 2 for the
    options, 3 for the login, and 4 for everything else. The examination needs a connection: the PBX
    allows two per user and app_name. With --force it replaces the oldest one if there are two.
    """
    from basix_ws_cti.cli.signals import run_interruptible

    if facts:
        _print_facts(connection, seconds, recording, json=json)
        return
    for name, value in (("seconds", seconds), ("recording", recording)):
        if value is not None:
            raise UsageError(_("--{name} needs --facts").format(name=name))
    if json:
        use_language("en")
    show = _print_json if json else _FindingPrinter()
    if redis is not None:
        examination = _examine_redis(redis, redis_stream, redis_ca_file, timeout, show)
        raise typer.Exit(run_interruptible(examination))
    raise typer.Exit(run_interruptible(_examine(connection, timeout, show)))


def _print_facts(
    connection: ConnectionOptions, seconds: float | None, recording: Path | None, *, json: bool
) -> None:
    """Print the facts of a recording, or of the feed until the time is over or Ctrl-C."""
    from importlib.metadata import version

    from basix_ws_cti.cli.diagnostics.feed_facts import FeedFacts, facts_as_markdown

    facts = FeedFacts()
    if recording is not None:
        if seconds is not None:
            raise UsageError(_("--seconds cannot be combined with --recording"))
        _observe_recording(facts, recording)
    else:
        _observe_feed(facts, connection, seconds)
    found = {"basix_ws_cti": version("basix_ws_cti"), "facts": facts.as_dict()}
    if json:
        write_json(found)
    else:
        heading = f"Facts of a feed, by basix_ws_cti {found['basix_ws_cti']}"
        typer.echo(facts_as_markdown(facts.as_dict(), heading), nl=False)


def _observe_recording(facts: FeedFacts, file: Path) -> None:
    from basix_ws_cti.cli.recording_session import open_recording
    from basix_ws_cti.recording import Connected, Frame

    with open_recording(file) as recording:
        for entry in recording:
            match entry:
                case Connected():
                    facts.start_connection()
                case Frame(_, data):
                    facts.observe(data)


def _observe_feed(facts: FeedFacts, connection: ConnectionOptions, seconds: float | None) -> None:
    """Observe the frames of a feed, across reconnects. Ctrl-C ends it like ``seconds``."""
    import asyncio

    from basix_ws_cti.cli.open_source import open_selected_source
    from basix_ws_cti.cli.output import report
    from basix_ws_cti.cli.signals import run_interruptible
    from basix_ws_cti.session.status import Stopped, Synced, Syncing

    async def follow() -> None:
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_notice(notice: object) -> None:
            match notice:
                case Syncing():
                    facts.start_connection()
                case Synced():
                    text = (
                        _("connected: listening until Ctrl-C")
                        if seconds is None
                        else _("connected: listening for {seconds:g} s")
                    )
                    report(text.format(seconds=seconds))
                case Stopped(reason) if reason is not None and not ended.done():
                    ended.set_exception(reason)

        async with open_selected_source(connection, on_notice, on_frame=facts.observe):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended, seconds)

    try:
        run_interruptible(follow())
    except KeyboardInterrupt:
        if not facts.frames:
            raise


async def _examine(
    connection: ConnectionOptions, seconds: float, show: Callable[[Finding], object]
) -> ExitCode:
    from basix_ws_cti.cli.diagnostics.examination import Examination
    from basix_ws_cti.cli.diagnostics.findings import STEPS, Finding, Mark
    from basix_ws_cti.cli.open_source import selected_pbx_arguments

    result = ExitCode.OK
    async with contextlib.AsyncExitStack() as stack:
        try:
            arguments = await stack.enter_async_context(selected_pbx_arguments(connection))
            examination = Examination(arguments, timeout=seconds)
        except UsageError as error:
            advice = _("correct the options: run doctor --help")
            show(Finding(step="options", mark=Mark.FAILED, found=str(error), advice=advice))
            for step in STEPS[1:]:
                show(Finding(step=step, mark=Mark.SKIPPED, found=_("not examined")))
            return _EXIT_CODES["options"]
        show(_options_finding(connection, arguments))
        findings = await stack.enter_async_context(contextlib.aclosing(examination.findings()))
        async for finding in findings:
            show(finding)
            if finding.mark is Mark.FAILED:
                result = _EXIT_CODES.get(finding.step, ExitCode.CONNECTION)
    return result


async def _examine_redis(
    url: str, stream: str, ca_file: Path | None, seconds: float, show: Callable[[Finding], object]
) -> ExitCode:
    from basix_ws_cti.cli.diagnostics.findings import Mark
    from basix_ws_cti.cli.package_errors import missing_package

    try:
        from basix_ws_cti.cli.diagnostics.redis_examination import RedisExamination
    except ModuleNotFoundError as error:
        raise missing_package(error, "fanout") from None

    examination = RedisExamination(redis_url(url), stream, ca_file=ca_file, timeout=seconds)
    result = ExitCode.OK
    async with contextlib.aclosing(examination.findings()) as findings:
        async for finding in findings:
            show(finding)
            if finding.mark is Mark.FAILED:
                result = ExitCode.CONNECTION
    return result


def _options_finding(connection: ConnectionOptions, arguments: dict[str, Any]) -> Finding:
    """Return the finding about the options: the request, and the origin of the token."""
    from basix_ws_cti.cli.diagnostics.findings import Finding, Mark
    from basix_ws_cti.exceptions import printable

    user = {name: value for name, value in arguments.items() if name.startswith("user_") and value}
    details = {
        "server": arguments["server"],
        "domain": arguments["domain"],
        "app_name": arguments["app_name"],
        "full_events": arguments["full_events"],
        "force": connection.force,
        "token_from": connection.token_source,
        **user,
    }
    found = _(
        "{server}, domain {domain}, app_name {app_name}: {selection}; the token is from {source}"
    ).format(
        server=arguments["server"],
        domain=arguments["domain"],
        app_name=arguments["app_name"],
        selection=_describe_selection(user, is_full=arguments["full_events"]),
        source=connection.token_source,
    )
    has_selection = user or arguments["full_events"]
    return Finding(
        step="options",
        mark=Mark.OK if has_selection else Mark.WARNING,
        found=printable(found, 400),
        advice=None if has_selection else _("select channels: --full-events or a --user option"),
        details=details,
    )


def _describe_selection(user: dict[str, Any], *, is_full: bool) -> str:
    """Return the channels that the PBX will send; ``user`` has the options that select a user."""
    if user:
        return _("the channels of {user}").format(
            user=", ".join(f"{name} {value}" for name, value in user.items())
        )
    return _("every channel") if is_full else _("no selection of channels")


def _print_json(finding: Finding) -> None:
    import attrs

    write_json(attrs.asdict(finding))


class _FindingPrinter:
    """Callback that prints a finding as one or two lines, with colours on a terminal."""

    def __init__(self) -> None:
        self._console = plain_console()
        self._mark_width = _column_width(_MARK_TEXTS)
        self._step_width = _column_width(_STEP_TEXTS)

    def __call__(self, finding: Finding) -> None:
        from rich.text import Text

        mark = Text(fit_text(_(_MARK_TEXTS[finding.mark]), self._mark_width), _STYLES[finding.mark])
        step = fit_text(_(_STEP_TEXTS[finding.step]), self._step_width)
        duration = "" if finding.seconds is None else f" ({finding.seconds * 1000:.0f} ms)"
        self._console.print(mark + step + finding.found + duration)
        if finding.advice:
            self._console.print(f"{'':{self._mark_width}}-> {finding.advice}")


def _column_width(texts: dict[str, str]) -> int:
    """Return the columns that the longest of these texts takes, and one more."""
    from rich.cells import cell_len

    return max(cell_len(_(text)) for text in texts.values()) + 1
