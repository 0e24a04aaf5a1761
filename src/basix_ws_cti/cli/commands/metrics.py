"""Command ``metrics``: serves figures of the feed for Prometheus."""

from __future__ import annotations

from typing import Annotated

import typer

from basix_ws_cti._internal.translation import _
from basix_ws_cti.cli.help import panels
from basix_ws_cti.cli.options import SourceOptions

DEFAULT_ADDRESS = "127.0.0.1:9850"


def serve_metrics(
    source: SourceOptions,
    *,
    listen: Annotated[
        str,
        typer.Option(
            "--listen",
            metavar="HOST:PORT",
            help=_("Address to serve the figures on; port 0 is any free one."),
            rich_help_panel=panels.SERVER,
        ),
    ] = DEFAULT_ADDRESS,
    max_queues: Annotated[
        int,
        typer.Option(
            "--max-queues",
            metavar="N",
            help=_("Number of queues with separate figures; all others are added up."),
            min=1,
            rich_help_panel=panels.SERVER,
        ),
    ] = 250,
) -> None:
    """Serve figures of queues and calls for Prometheus, until Ctrl-C."""
    from basix_ws_cti.cli.listen_address import cannot_listen, parse_listen_address
    from basix_ws_cti.cli.output import report
    from basix_ws_cti.cli.package_errors import missing_package
    from basix_ws_cti.cli.render.notices import NoticePrinter
    from basix_ws_cti.cli.signals import run_interruptible

    try:
        from prometheus_client import ProcessCollector

        from basix_ws_cti.bridges.metrics import SourceMetrics
        from basix_ws_cti.bridges.metrics_server import MetricsServer
    except ModuleNotFoundError as error:
        raise missing_package(error, "metrics") from None

    host, port = parse_listen_address("--listen", listen, DEFAULT_ADDRESS)

    async def serve() -> None:
        import asyncio

        from basix_ws_cti.cli.open_source import open_shown_source

        async with open_shown_source(source, NoticePrinter()) as feed:
            metrics = SourceMetrics(feed, max_queues=max_queues)
            ProcessCollector(registry=metrics.exposition.registry)
            try:
                server = MetricsServer(metrics.exposition, host, port)
            except OSError as error:
                raise cannot_listen("--listen", listen, error) from None
            with server:
                report(_("metrics at {url}").format(url=server.url))
                await metrics.follow()
                # A recording has ended: its figures stay.
                report(_("the recording has ended; its figures stay until Ctrl-C"))
                await asyncio.Event().wait()

    run_interruptible(serve())
