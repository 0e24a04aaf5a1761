"""Environment variables that connect a process to a simulated PBX."""

from __future__ import annotations


def connection_environment(pbx):
    """Return the variables that the command line and the examples read."""
    arguments = pbx.connect_args
    return {f"BASIX_{name.upper()}": arguments[name] for name in ("server", "domain", "token")}
