"""The command line: ``basix-ws-cti``, or ``python -m basix_ws_cti``. In the extra ``cli``.

Each command is a module of its name: its options, and what it does with the library. What they
share is in ``options`` (how to connect), ``source`` and ``recorded`` (where a feed comes from),
``output`` (terminals and pipes) and ``exits`` (exit codes).
"""

from __future__ import annotations

import sys

EXTRA = frozenset({"typer", "rich", "textual"})


def main() -> None:
    """Run the command that ``sys.argv`` names, and exit with its code (docs/cli.md)."""
    try:
        from .app import app

        app()
    except KeyboardInterrupt:  # before there was a command to interrupt
        sys.exit(130)
    except OSError as error:  # the help can't be written: a command tells of its own
        from .output import leave_nothing, say

        say(str(error))
        leave_nothing()
        sys.exit(1)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        sys.exit("basix-ws-cti: the command line needs: pip install 'basix_ws_cti[cli]'")
