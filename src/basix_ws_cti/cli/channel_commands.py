"""Common part of ``hangup``, ``park`` and ``transfer``: finding the channel, and sending."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from attrs import define, field, frozen

from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import BasixError, ResyncRequired, UsageError, printable

from .options import FeedSourceOptions
from .output import write_json

if TYPE_CHECKING:
    from basix_ws_cti import Channel, Mirror
    from basix_ws_cti.client.commanded_feed import CommandedFeed
    from basix_ws_cti.client.commands import Command
    from basix_ws_cti.sources.source import Notice

# Shortest prefix of a UUID that identifies a channel: a shorter one could hit a call by chance.
MIN_PREFIX = 4

ChannelArgument = Annotated[
    str,
    typer.Argument(
        metavar="UUID",
        help=_(
            "UUID of the channel, or its first {count} or more characters, or a telephone number, "
            "if only one channel matches."
        ).format(count=MIN_PREFIX),
    ),
]


@frozen(kw_only=True)
class CommandOptions:
    """Options for sending a command to the PBX."""

    confirm: Annotated[
        bool, typer.Option("--confirm/--no-confirm", help=_("Wait until the effect is visible."))
    ] = True
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            help=_("Maximum time to wait for the effect, in seconds."),
            min=0.1,
            max=3600,
        ),
    ] = 5
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=_("Print the command as JSON without sending it."))
    ] = False


class NoSuchChannelError(BasixError):
    """No channel matches the argument; nothing was sent."""


@define
class SendingPolicy:
    """Decides which errors of the connection end a command.

    Before the command is sent, every error is final, except for the first ``ResyncRequired``: a
    new connection follows at once. After that, the client may reconnect to see the effect.
    """

    is_sent: bool = False
    """True from the moment on in which the command is sent."""

    _was_resynced: bool = field(default=False, init=False)

    def classify(self, error: Exception, is_final: bool) -> bool:  # noqa: FBT001 - as the client calls it
        """Return True if ``error`` ends the command; ``is_final`` is the client's own decision."""
        if isinstance(error, ResyncRequired) and not self._was_resynced:
            self._was_resynced = True
            return is_final
        return is_final or not self.is_sent


def run_channel_command(
    connection: FeedSourceOptions,
    options: CommandOptions,
    name: str,
    build: Callable[[Channel, Mirror], Command],
    send: Callable[[CommandedFeed, Channel], Awaitable[str]],
) -> None:
    """Find a channel, send a command for it and print the result.

    - ``name``: UUID, prefix or number that identifies the channel.
    - ``build``: function that returns the command for a channel of a mirror, for ``--dry-run``.
    - ``send``: function that sends the command and returns the text to print.

    The command is sent at most once, and only once no element is missing because of an unreadable
    frame. ``SendingPolicy`` decides which connection errors are final.
    """
    import asyncio

    from .open_source import open_live_or_followed_source
    from .side_tasks import run_beside
    from .signals import run_interruptible

    async def run() -> None:
        policy = SendingPolicy()
        failure: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

        def on_notice(notice: Notice) -> None:
            """End the command at the first failure of a follower, which would retry for ever."""
            reason = getattr(notice, "reason", None)
            if isinstance(reason, Exception) and not failure.done():
                failure.set_result(reason)

        async def fail() -> None:
            raise await failure

        watch = None if connection.redis is None else on_notice
        async with open_live_or_followed_source(
            connection, watch, classify=policy.classify
        ) as source:
            async with run_beside(fail()):
                mirror = await source.synced_completely()
            channel = find_channel(mirror, name)
            if options.dry_run:
                write_json(build(channel, mirror).sent)
                return
            policy.is_sent = True
            typer.echo(await send(source.client, channel))

    run_interruptible(run())


def find_channel(mirror: Mirror, name: str) -> Channel:
    """Return the channel with a UUID, or the only one that matches a prefix or number.

    Raises ``NoSuchChannelError`` if none matches, and ``UsageError`` with a list if several do.
    """
    exact = mirror.channels.get(name)
    if exact is not None:
        return exact
    found: dict[Any, Channel] = {leg.uuid: leg for leg in mirror.channels_by_number(name)}
    if len(name) >= MIN_PREFIX:
        found |= {uuid: leg for uuid, leg in mirror.channels.items() if uuid.startswith(name)}
    if not found:
        raise NoSuchChannelError(f"no channel matches {printable(name, 60)}; nothing was sent")
    if len(found) > 1:
        candidates = "".join(f"\n  {describe_channel(leg)}" for leg in found.values())
        raise UsageError(
            f"several channels match {printable(name, 60)}; nothing was sent:{candidates}"
        )
    return next(iter(found.values()))


def describe_channel(leg: Channel) -> str:
    """Return a channel's UUID, calling and called number, and state, as one line."""
    numbers = f"{leg.calling_number or '?'} -> {leg.called_number or '?'}"
    state = getattr(leg.state, "name", None) or "?"
    return printable(f"{leg.uuid} ({numbers}, {state})")
