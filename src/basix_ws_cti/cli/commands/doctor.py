"""Command ``doctor``: examines the connection to a feed step by step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from basix_ws_cti.cli.exit_codes import ExitCode
from basix_ws_cti.cli.options import ConnectionOptions
from basix_ws_cti.cli.output import plain_console, write_json
from basix_ws_cti.exceptions import UsageError

if TYPE_CHECKING:
    from basix_ws_cti.cli.diagnostics.findings import Finding

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}

# Exit code for a failed step; for all other steps it is CONNECTION.
_EXIT_CODES = {"options": ExitCode.USAGE, "login": ExitCode.AUTHENTICATION}


def run_doctor(
    connection: ConnectionOptions,
    *,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line for each step.")
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(help="Maximum time that a step waits for an answer, in seconds.", min=0.1),
    ] = 10,
) -> None:
    """Examine the connection to the feed step by step, and print advice.

    The first failed step ends the examination. The exit code is 0 if no step failed, 2 for the
    options, 3 for the login, and 4 for everything else. The examination needs a connection: the PBX
    allows two per user and app_name. With --force it replaces the oldest one if there are two.
    """
    from basix_ws_cti.cli.signals import run_interruptible

    show = _print_json if json else _FindingPrinter()
    raise typer.Exit(run_interruptible(_examine(connection, timeout, show)))


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
            advice = "correct the options: run doctor --help"
            show(Finding(step="options", mark=Mark.FAILED, found=str(error), advice=advice))
            for step in STEPS[1:]:
                show(Finding(step=step, mark=Mark.SKIPPED, found="not examined"))
            return _EXIT_CODES["options"]
        show(_options_finding(connection, arguments))
        findings = await stack.enter_async_context(contextlib.aclosing(examination.findings()))
        async for finding in findings:
            show(finding)
            if finding.mark is Mark.FAILED:
                result = _EXIT_CODES.get(finding.step, ExitCode.CONNECTION)
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
    selection = "every channel" if arguments["full_events"] else "the channels of the token's user"
    if user:
        selection = "the channels of " + ", ".join(
            f"{name} {value}" for name, value in user.items()
        )
    found = (
        f"{arguments['server']}, domain {arguments['domain']}, app_name {arguments['app_name']}: "
        f"{selection}; the token is from {connection.token_source}"
    )
    has_selection = user or arguments["full_events"]
    return Finding(
        step="options",
        mark=Mark.OK if has_selection else Mark.WARNING,
        found=printable(found, 400),
        advice=None if has_selection else "select channels: --full-events or a --user option",
        details=details,
    )


def _print_json(finding: Finding) -> None:
    import attrs

    write_json(attrs.asdict(finding))


class _FindingPrinter:
    """Callback that prints a finding as one or two lines, with colours on a terminal."""

    def __init__(self) -> None:
        self._console = plain_console()

    def __call__(self, finding: Finding) -> None:
        from rich.text import Text

        mark = Text(f"{finding.mark:<8}", _STYLES[finding.mark])
        duration = "" if finding.seconds is None else f" ({finding.seconds * 1000:.0f} ms)"
        self._console.print(mark + f"{finding.step:<11}{finding.found}{duration}")
        if finding.advice:
            self._console.print(f"{'':8}-> {finding.advice}")
