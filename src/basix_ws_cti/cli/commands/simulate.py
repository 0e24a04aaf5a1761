"""Command ``simulate``: runs a simulated PBX."""

from __future__ import annotations

import errno
import os
from typing import Annotated

import typer

from basix_ws_cti._internal.os_errors import describe_os_error
from basix_ws_cti._internal.translation import _
from basix_ws_cti.exceptions import UsageError


def run_simulator(
    *,
    port: Annotated[
        int,
        typer.Option(
            metavar="PORT",
            help=_("Port on the loopback interface; 0 is a free one."),
            min=0,
            max=65535,
        ),
    ] = 8765,
    rate: Annotated[
        float, typer.Option(metavar="N", help=_("New calls per simulated minute."))
    ] = 9,
    speed: Annotated[
        float,
        typer.Option(
            metavar="FACTOR", help=_("Speed of the simulation, in simulated seconds per second.")
        ),
    ] = 1,
    seed: Annotated[
        int,
        typer.Option(
            metavar="N", help=_("Seed of the simulated day; equal seeds give equal days.")
        ),
    ] = 0,
    users: Annotated[
        int, typer.Option(metavar="N", help=_("Number of users, in groups of ten."))
    ] = 5,
    domain: Annotated[
        str,
        typer.Option(
            metavar="DOMAIN",
            help=_("Domain with which clients log in."),
            envvar="BASIX_DOMAIN",
            show_envvar=True,
        ),
    ] = "demo",
    otp: Annotated[
        int,
        typer.Option(
            metavar="RELEASE",
            help=_("Erlang/OTP release whose atom encoding is used: 25 or 26."),
            min=25,
            max=26,
        ),
    ] = 25,
    older: Annotated[
        bool, typer.Option("--older", help=_("Send the element kinds of an older server."))
    ] = False,
    compressed: Annotated[
        bool, typer.Option("--compressed", help=_("Send compressed frames."))
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help=_("Start no calls automatically."))
    ] = False,
    tls: Annotated[
        bool, typer.Option("--tls", help=_("Use wss:// with a newly created certificate."))
    ] = False,
) -> None:
    """Run a simulated PBX until Ctrl-C.

    Clients log in with its domain and the token in BASIX_TOKEN, or "simulated" without it.
    """
    from basix_ws_cti.cli.output import is_broken_pipe
    from basix_ws_cti.cli.signals import run_interruptible
    from basix_ws_cti.simulator import Simulator
    from basix_ws_cti.simulator.__main__ import serve

    token = os.environ.get("BASIX_TOKEN")
    displayed_token = "as in BASIX_TOKEN" if token else "simulated"
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
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    try:
        run_interruptible(serve(pbx, f"domain: {domain}, token: {displayed_token}"))
    except ImportError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        if is_broken_pipe(error):  # the reader of stdout is gone
            raise
        if error.errno == errno.EADDRINUSE:
            problem = f"port {port} is already in use: choose another with --port"
        else:
            problem = f"cannot listen on port {port}: {describe_os_error(error)}"
        raise OSError(problem) from None
