"""Rules for the imports of the simulator's modules, imports for type checking included."""

from __future__ import annotations

import ast
import functools
import graphlib
from pathlib import Path

from support.cases import for_each

import basix_ws_cti.simulator

PACKAGE = Path(basix_ws_cti.simulator.__file__).parent
NAME = "basix_ws_cti.simulator"
MODULES = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}

# The model of the PBX and the frames: no I/O, and no clock but the PBX's own.
PURE = {
    *("access_control", "call_ledger", "call_legs", "change_publisher", "commands", "company"),
    *("errors", "frame_writer", "inbound_scenarios", "ledger_calls", "ledger_outcome"),
    *("ledger_rows", "model", "participation_ledger", "pbx", "scenario_parts", "scenarios"),
    *("session_frames", "timeline", "transfer_scenarios", "user_scenarios", "wait_ledger"),
}
IMPURE_LIBRARIES = {
    *("asyncio", "concurrent", "datetime", "logging", "os", "pathlib", "select", "selectors"),
    *("socket", "ssl", "threading", "time", "websockets"),
}


@functools.cache
def imported_names(text: str) -> set[str]:
    """Return the full name of everything that a source text imports, wherever the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = f"{NAME}.{node.module or ''}".rstrip(".") if node.level == 1 else node.module
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


def imported_modules(text: str) -> set[str]:
    """Return the modules of the simulator among the imports of a source text."""
    own = (name for name in imported_names(text) if name.startswith(f"{NAME}."))
    return {name.removeprefix(f"{NAME}.").partition(".")[0] for name in own} & MODULES


def source(name: str) -> str:
    return (PACKAGE / f"{name}.py").read_text(encoding="utf-8")


def test_every_form_of_import_is_found():
    text = """
from . import model
from .pbx import Pbx
import basix_ws_cti.simulator.timeline
if TYPE_CHECKING:
    from basix_ws_cti.simulator.faults import Fault
def function():
    from basix_ws_cti.simulator import simulator
    from basix_ws_cti.exceptions import BasixError
"""
    assert imported_modules(text) == {"model", "pbx", "timeline", "faults", "simulator"}
    assert "basix_ws_cti.exceptions.BasixError" in imported_names(text)


def test_modules_have_no_import_cycle():
    graph = {name: imported_modules(source(name)) for name in MODULES}
    assert graph["simulator"] >= {"client_handler", "faults", "feed_server", "http_api"}
    # static_order() raises CycleError, which names the modules of a cycle.
    assert {*graphlib.TopologicalSorter(graph).static_order()} == MODULES


@for_each("name", sorted(MODULES))
def test_simulator_shares_no_code_with_the_parser(name):
    library = {n for n in imported_names(source(name)) if n.startswith("basix_ws_cti.")}
    allowed = (
        f"{NAME}.",
        "basix_ws_cti.exceptions.",
        "basix_ws_cti._internal.arguments.",
        "basix_ws_cti._internal.log_sanitising.",
    )
    assert not {n for n in library if not n.startswith(allowed)}


@for_each("name", sorted(PURE))
def test_model_does_no_io_and_reads_no_clock(name):
    names = imported_names(source(name))
    assert {one.partition(".")[0] for one in names}.isdisjoint(IMPURE_LIBRARIES)
    assert {one for one in names if one.startswith("http")} <= {"http.HTTPStatus"}
    assert imported_modules(source(name)) <= PURE
