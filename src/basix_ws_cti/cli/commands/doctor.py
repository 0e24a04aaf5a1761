"""``doctor``: where the way to the feed ends, and what to do about it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from basix_ws_cti.cli.exit_codes import Exit
from basix_ws_cti.cli.options import ConnectionOptions
from basix_ws_cti.cli.output import console, write_json
from basix_ws_cti.exceptions import UsageError

if TYPE_CHECKING:
    from basix_ws_cti.cli.diagnostics.examination import Finding

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}

# What a failed step means to the shell; of any other, that there is no connection.
_EXITS = {"options": Exit.USAGE, "login": Exit.AUTHENTICATION}


def doctor(
    connection: ConnectionOptions,
    *,
    json: Annotated[bool, typer.Option("--json", help="a JSON line for each step")] = False,
    timeout: Annotated[
        float, typer.Option(help="seconds that a step waits for anything to come", min=0.1)
    ] = 10,
) -> None:
    """Go the way to the feed step by step: where it ends, and what to do about it.

    It takes one of the app_name's connections for a moment, and with --force somebody's.
    """
    from basix_ws_cti.cli.signals import run

    raise typer.Exit(run(_examine(connection, timeout, _write if json else _Lines())))


async def _examine(
    connection: ConnectionOptions, seconds: float, show: Callable[[Finding], object]
) -> Exit:
    from basix_ws_cti.cli.diagnostics.examination import STEPS, Examination, Finding, Mark
    from basix_ws_cti.cli.open_source import selected_pbx_arguments

    result = Exit.OK
    async with contextlib.AsyncExitStack() as stack:
        try:
            arguments = await stack.enter_async_context(selected_pbx_arguments(connection))
            examination = Examination(arguments, timeout=seconds)
        except UsageError as error:
            advice = "see --help: what is missing or wrong there can't work with any PBX"
            show(Finding(step="options", mark=Mark.FAILED, found=str(error), advice=advice))
            for step in STEPS[1:]:
                show(Finding(step=step, mark=Mark.SKIPPED, found="not looked at"))
            return _EXITS["options"]
        show(_asked(connection, arguments))
        findings = await stack.enter_async_context(contextlib.aclosing(examination.findings()))
        async for finding in findings:
            show(finding)
            if finding.mark is Mark.FAILED:
                result = _EXITS.get(finding.step, Exit.CONNECTION)
    return result


def _asked(connection: ConnectionOptions, arguments: dict[str, Any]) -> Finding:
    """The options: what is asked for, and where the token is from."""
    from basix_ws_cti.cli.diagnostics.examination import Finding, Mark
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
    wanted = "every channel" if arguments["full_events"] else "the channels of the token's user"
    if user:
        wanted = "the channels of " + ", ".join(f"{name} {value}" for name, value in user.items())
    found = (
        f"{arguments['server']}, domain {arguments['domain']}, app_name {arguments['app_name']}: "
        f"{wanted}; the token is from {connection.token_source}"
    )
    is_vague = not (user or arguments["full_events"])
    return Finding(
        step="options",
        mark=Mark.WARNING if is_vague else Mark.OK,
        found=printable(found, 400),
        advice="say whose channels: --full-events, or one of the --user options"
        if is_vague
        else None,
        details=details,
    )


def _write(finding: Finding) -> None:
    import attrs

    write_json(attrs.asdict(finding))


class _Lines:
    """Findings as lines, in colours where a terminal reads."""

    def __init__(self) -> None:
        self._console = console()

    def __call__(self, finding: Finding) -> None:
        from rich.text import Text

        mark = Text(f"{finding.mark:<8}", _STYLES[finding.mark])
        took = "" if finding.seconds is None else f" ({finding.seconds * 1000:.0f} ms)"
        self._console.print(mark + f"{finding.step:<11}{finding.found}{took}")
        if finding.advice:
            self._console.print(f"{'':8}-> {finding.advice}")
