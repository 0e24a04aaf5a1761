"""Conversion of a command's connection options into the feed that they select."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from basix_ws_cti._internal.translation import _

if TYPE_CHECKING:
    from pathlib import Path

    from basix_ws_cti.client.client import Client
    from basix_ws_cti.sources.live import LiveSource
    from basix_ws_cti.sources.recorded import RecordedSource
    from basix_ws_cti.sources.source import Notice, Source

    from .options import ConnectionOptions, FeedSourceOptions, SourceOptions


def open_selected_source(
    connection: ConnectionOptions,
    on_notice: Callable[[Notice], object] | None = None,
    **client_options: Any,
) -> AbstractAsyncContextManager[LiveSource[Client]]:
    """Open the feed of the PBX, or of the simulated one, that the options select.

    ``client_options`` are further keyword arguments of ``Client``. Raises ``UsageError`` for
    options that cannot work; entering the block raises what ``Client`` raises.
    """
    if connection.simulate:
        from basix_ws_cti.sources.simulated import open_simulated_source

        return open_simulated_source(
            speed=connection.simulate_speed,
            seed=connection.simulate_seed,
            on_notice=on_notice,
            app_name=connection.app_name,
            **client_options,
        )
    from basix_ws_cti.sources.live import open_live_source

    return open_live_source(on_notice=on_notice, **connection.client_arguments(), **client_options)


def open_shown_source(
    options: SourceOptions,
    on_notice: Callable[[Notice], object] | None = None,
    **client_options: Any,
) -> AbstractAsyncContextManager[Source]:
    """Open the feed that the options select: of a PBX, a simulated one, a recording, or Redis.

    ``client_options`` have no meaning for a recording and a stream. Raises like
    ``open_live_or_followed_source``; for a recording, entering the block raises ``RecordingError``
    or ``FileAccessError``.
    """
    if options.recording is None:
        return open_live_or_followed_source(options, on_notice, **client_options)
    return open_recorded_source(
        options.recording, speed=options.recording_speed or None, on_notice=on_notice
    )


def open_unpaced_source(
    options: SourceOptions, *receivers: Callable[[Notice], object]
) -> AbstractAsyncContextManager[Source]:
    """Open the feed that the options select, and report its notices on stderr.

    A recording is read without waiting. ``receivers`` get each notice before it is reported. Raises
    like ``open_shown_source``.
    """
    from .render.notices import NoticePrinter

    functions: list[Callable[[Notice], object]] = [*receivers, NoticePrinter(None)]

    def on_notice(notice: Notice) -> None:
        for function in functions:
            function(notice)

    if options.recording is not None:
        return open_recorded_source(options.recording, speed=None, on_notice=on_notice)
    return open_live_or_followed_source(options, on_notice)


def open_live_or_followed_source(
    options: FeedSourceOptions,
    on_notice: Callable[[Notice], object] | None = None,
    **client_options: Any,
) -> AbstractAsyncContextManager[LiveSource[Any]]:
    """Open the feed that the options select, apart from a recording.

    ``client_options`` are keyword arguments of ``Client``, and have no meaning for a stream. Raises
    like ``open_selected_source``, and what ``Follower`` raises.
    """
    if options.redis is None:
        return open_selected_source(options, on_notice, **client_options)
    from .package_errors import missing_package
    from .redis_options import redis_url

    try:
        from basix_ws_cti.sources.followed import open_followed_source
    except ModuleNotFoundError as error:
        raise missing_package(error, "fanout") from None
    return open_followed_source(
        redis=redis_url(options.redis),
        stream=options.redis_stream,
        ca_file=options.ca_file,
        on_notice=on_notice,
    )


@contextlib.asynccontextmanager
async def open_recorded_source(
    file: Path, *, speed: float | None, on_notice: Callable[[Notice], object] | None = None
) -> AsyncIterator[RecordedSource]:
    """Play a recording in a file, or on stdin for ``STDIO``.

    - ``speed``: seconds of the recording per second; ``None``: does not wait.

    A start line and a progress bar appear on stderr if that is a terminal.
    """
    from basix_ws_cti.cli.files import size_of
    from basix_ws_cti.cli.progress import Amount, report_start, shorten_name, show_progress
    from basix_ws_cti.cli.recording_session import describe_recording, open_recording
    from basix_ws_cti.sources.recorded import RecordedSource

    with open_recording(file) as recording:
        source = RecordedSource(recording, speed=speed, on_notice=on_notice)
        size = size_of(file)
        report_start(describe_recording(recording))
        with show_progress(
            _("replaying {file}").format(file=shorten_name(recording.name)),
            lambda: Amount(recording.bytes_read, size, f"{source.now():%H:%M:%S} UTC"),
        ):
            yield source


@contextlib.asynccontextmanager
async def selected_pbx_arguments(connection: ConnectionOptions) -> AsyncIterator[dict[str, Any]]:
    """Provide the keyword arguments of ``connect`` for the selected PBX, simulated or real.

    A simulated PBX runs for the duration of the block. Raises ``UsageError`` for options that
    cannot work.
    """
    if not connection.simulate:
        yield connection.client_arguments()
        return
    from basix_ws_cti.sources.simulated import run_simulated_pbx

    async with run_simulated_pbx(
        speed=connection.simulate_speed, seed=connection.simulate_seed
    ) as pbx:
        yield {**pbx.connect_args, "app_name": connection.app_name, "full_events": True}
