"""Import graph of the simulator's modules, imports for type checking included."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import basix_ws_cti.simulator

PACKAGE = Path(basix_ws_cti.simulator.__file__).parent
MODULES = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}


def imported_modules(text: str, package: str = "basix_ws_cti.simulator") -> set[str]:
    """Return the modules of the package that a source text imports, wherever the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = f"{package}.{node.module or ''}".rstrip(".") if node.level == 1 else node.module
            names.update(f"{base}.{alias.name}" for alias in node.names)
    parts = (name.removeprefix(f"{package}.") for name in names if name.startswith(f"{package}."))
    return {part.partition(".")[0] for part in parts} & MODULES


def test_every_form_of_import_is_found():
    text = """
from . import model
from .pbx import Pbx
import basix_ws_cti.simulator.timeline
if TYPE_CHECKING:
    from basix_ws_cti.simulator.faults import Fault
def function():
    from basix_ws_cti.simulator import server
    from basix_ws_cti.exceptions import BasixError
"""
    assert imported_modules(text) == {"model", "pbx", "timeline", "faults", "server"}


def test_modules_do_not_import_each_other_in_a_circle():
    graph = {
        name: imported_modules((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))
        for name in MODULES
    }
    assert graph["server"] >= {"client_handler", "faults", "http_api"}
    # static_order() raises CycleError, which names the modules of a cycle.
    assert {*graphlib.TopologicalSorter(graph).static_order()} == MODULES
