"""``simulate``: a simulated PBX, until Ctrl-C."""

from __future__ import annotations

import errno
import os
from typing import Annotated

import typer

from basix_ws_cti.exceptions import UsageError


def simulate(
    *,
    port: Annotated[int, typer.Option(help="to listen on; 0: a free one", min=0, max=65535)] = 8765,
    rate: Annotated[float, typer.Option(help="calls that begin in a minute")] = 9,
    speed: Annotated[float, typer.Option(help="of its time; 1: as ours")] = 1,
    seed: Annotated[int, typer.Option(help="a day of its own for each number")] = 0,
    users: Annotated[int, typer.Option(help="in groups of ten")] = 5,
    domain: Annotated[
        str, typer.Option(help="that clients show", envvar="BASIX_DOMAIN", show_envvar=True)
    ] = "demo",
    otp: Annotated[int, typer.Option(help="of the server: 25 or 26", min=25, max=26)] = 25,
    older: Annotated[bool, typer.Option("--older", help="an older server's kinds")] = False,
    compressed: Annotated[bool, typer.Option("--compressed", help="compress frames")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="no calls by themselves")] = False,
    tls: Annotated[bool, typer.Option("--tls", help="wss://, with a new certificate")] = False,
) -> None:
    """A simulated PBX, until Ctrl-C.

    Clients show its domain, and the token in BASIX_TOKEN, or "simulated".
    """
    from basix_ws_cti.cli.signals import run
    from basix_ws_cti.simulator import Simulator
    from basix_ws_cti.simulator.__main__ import serve

    token = os.environ.get("BASIX_TOKEN")
    shown = "as in BASIX_TOKEN" if token else "simulated"
    try:
        pbx = Simulator(
            port=port,
            rate=rate,
            speed=speed,
            seed=seed,
            users=users,
            domain=domain,
            token=token or "simulated",
            otp=otp,
            older=older,
            compressed=compressed,
            calls=not quiet,
            tls=tls,
            api=True,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    try:
        run(serve(pbx, f"domain: {domain}, token: {shown}"))
    except ImportError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise OSError(f"port {port} is in use already: choose another as --port") from None
