"""Start-up time of the import and of the command line's help."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from measure import Row, Size, rows, take_turns

IMPORT = "import time; begin = time.perf_counter(); {}; print(time.perf_counter() - begin)"

# The package loads its modules on first use: this is the start of a program that parses.
PARSER = "from basix_ws_cti import MessageParser"


def environment(compiled: str) -> dict[str, str]:
    """Return an environment with compiled bytecode, as after an installation."""
    inherited = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    return {**inherited, "PYTHONPYCACHEPREFIX": compiled}


def importing(statement: str, env: dict[str, str]) -> Callable[[], float]:
    """Return a contestant: seconds of an import in a new interpreter, without its start."""
    command = [sys.executable, "-c", IMPORT.format(statement)]
    return lambda: float(subprocess.check_output(command, env=env))


def running(*arguments: str, env: dict[str, str]) -> Callable[[], float]:
    """Return a contestant: seconds of a process, from start to end."""

    def measure() -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=env)
        return time.perf_counter() - begin

    return measure


def start(size: Size, _: int) -> list[Row]:
    """Start-up in new interpreters: imports alone, and complete processes."""
    with tempfile.TemporaryDirectory() as compiled:
        env = environment(compiled)
        # Pairs: each second one is compared with the one before it.
        contestants = {
            "import attrs": importing("import attrs", env),
            "import basix_ws_cti": importing(PARSER, env),
            "python -c 'import attrs'": running("-c", "import attrs", env=env),
            "python -c 'import basix_ws_cti'": running("-c", PARSER, env=env),
            "python -c pass": running("-c", "pass", env=env),
            "basix-ws-cti --help": running("-m", "basix_ws_cti", "--help", env=env),
        }
        measured = take_turns(contestants, size.rounds)
    table = []
    for base, other in zip([*contestants][::2], [*contestants][1::2], strict=True):
        both = {name: measured[name] for name in (base, other)}
        table += rows("start", base, both, unit="ms", scale=1e3)
    return table
