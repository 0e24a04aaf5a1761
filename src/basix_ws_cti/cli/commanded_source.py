"""Feed together with the objects that send commands to its PBX."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from attrs import frozen

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError

from .open_source import open_shown_source
from .output import report

if TYPE_CHECKING:
    from basix_ws_cti.sources.source import Notice, Source
    from basix_ws_cti.web.commands import CallStarter, CommandTarget

    from .options import SourceOptions


@frozen(kw_only=True)
class CommandedSource:
    """Feed, and what sends commands to its PBX."""

    source: Source
    """Feed."""

    target: CommandTarget
    """Object that sends commands about channels."""

    caller: CallStarter | None
    """Object that starts calls; ``None``: the extra ``http`` is not installed."""


@contextlib.asynccontextmanager
async def open_commanded_source(
    options: SourceOptions, on_notice: Callable[[Notice], object] | None = None
) -> AsyncIterator[CommandedSource]:
    """Open the feed that the options select, for reading and for commands.

    Calls start through the HTTP API of the PBX, or of the publisher's PBX. Raises ``UsageError``
    for a recording, and otherwise like ``open_shown_source``.
    """
    async with contextlib.AsyncExitStack() as stack:
        if options.redis is None and options.recording is None:
            yield await _open_pbx(stack, options, on_notice)
            return
        source: Any = await stack.enter_async_context(open_shown_source(options, on_notice))
        if options.redis is None:
            raise UsageError(_("--allow-commands needs a connection to the PBX"))
        yield CommandedSource(source=source, target=source.client, caller=source.client.api)


async def _open_pbx(
    stack: contextlib.AsyncExitStack,
    options: SourceOptions,
    on_notice: Callable[[Notice], object] | None,
) -> CommandedSource:
    """Open the feed and the HTTP API of a PBX or a simulated one, with one prompt for the token."""
    if options.simulate:
        from basix_ws_cti.sources.simulated import follow_simulated_pbx, run_simulated_pbx

        pbx = await stack.enter_async_context(
            run_simulated_pbx(speed=options.simulate_speed, seed=options.simulate_seed)
        )
        arguments = pbx.connect_args
        opening = follow_simulated_pbx(pbx, on_notice=on_notice, app_name=options.app_name)
    else:
        from basix_ws_cti.sources.live import open_live_source

        arguments = options.client_arguments()
        opening = open_live_source(on_notice=on_notice, **arguments)
    source = await stack.enter_async_context(opening)
    return CommandedSource(
        source=source, target=source.client, caller=await _open_api(stack, arguments)
    )


async def _open_api(
    stack: contextlib.AsyncExitStack, client_arguments: dict[str, Any]
) -> CallStarter | None:
    """Open the HTTP API of the PBX that a client with these arguments reaches."""
    try:
        import httpx2  # noqa: F401 - needed for HttpApi
    except ModuleNotFoundError:
        report(_("pages cannot start calls: pip install 'basix_ws_cti[http]'"))
        return None
    from basix_ws_cti import HttpApi

    names = ("server", "domain", "token", "ssl")
    arguments = {name: client_arguments[name] for name in names if name in client_arguments}
    return await stack.enter_async_context(HttpApi(**arguments))
