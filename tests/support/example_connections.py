"""How a program of its own finds a simulated PBX."""

from __future__ import annotations


def environment_of(pbx):
    """The variables that the command line and the examples read."""
    given = pbx.connect_args
    return {f"BASIX_{name.upper()}": given[name] for name in ("server", "domain", "token")}
