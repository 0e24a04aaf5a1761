"""Cost of an import, clocks, and the public names.

import-linter checks the layers (``lint-imports``); these tests check what it cannot.
"""

from __future__ import annotations

import ast
import functools
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.cases import for_each
from support.etf_encoder import field_spec, info_event
from support.paths import DOCS

import basix_ws_cti
from basix_ws_cti import exceptions

ROOT = Path(basix_ws_cti.__file__).parent

# Libraries that a program which only parses frames must not load.
HEAVY = ("asyncio", "websockets", "bert", "erlastic")

# Packages and modules that do no I/O and read no clock.
CORE = (
    *("exceptions", "states", "terms", "elements", "messages"),
    *("parsing", "mirror", "calls", "session"),
)

# Modules of the simulated PBX itself: no I/O, and no clock but its own.
SIMULATED_WORLD = {
    "simulator.access_control",
    "simulator.call_ledger",
    "simulator.commands",
    "simulator.frame_writer",
    "simulator.inbound_scenarios",
    "simulator.ledger_calls",
    "simulator.ledger_outcome",
    "simulator.ledger_rows",
    "simulator.model",
    "simulator.participation_ledger",
    "simulator.pbx",
    "simulator.scenario_parts",
    "simulator.scenarios",
    "simulator.session_frames",
    "simulator.timeline",
    "simulator.transfer_scenarios",
    "simulator.user_scenarios",
    "simulator.wait_ledger",
}

CLOCK_MODULES = {"time", "sched", "timeit"}
CLOCK_CALLS = {"now", "utcnow", "today"}  # of datetime


def module_names():
    """Return the names of all modules, without the package's name."""
    prefix = "basix_ws_cti."
    found = pkgutil.walk_packages([str(ROOT)], prefix)
    names = {module.name.removeprefix(prefix) for module in found}
    return {name for name in names if not name.endswith("__mypyc")}


def core_modules():
    return sorted(name for name in module_names() if name.partition(".")[0] in CORE)


def source(name):
    path = ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def nodes(name):
    return [*ast.walk(ast.parse(source(name).read_text(encoding="utf-8")))]


def imported(name):
    """Return the top-level names of all absolute imports of a module."""
    found = set()
    for node in nodes(name):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def called_attributes(name):
    return {
        node.func.attr
        for node in nodes(name)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


def run(code):
    """Return what a fresh interpreter prints, split at white space."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@for_each("name", core_modules())
def test_core_reads_no_clock(name):
    """The core gets its time from its callers."""
    assert imported(name).isdisjoint(CLOCK_MODULES)
    assert called_attributes(name).isdisjoint(CLOCK_CALLS)


@for_each("name", sorted(name for name in module_names() if name.startswith("reports.")))
def test_reports_read_no_clock_and_do_not_wait(name):
    """The period of a report comes from its callers; a database is read in the caller's thread."""
    assert imported(name).isdisjoint({*CLOCK_MODULES, "asyncio", "websockets", "bert"})
    assert called_attributes(name).isdisjoint(CLOCK_CALLS)


@for_each("name", sorted(SIMULATED_WORLD))
def test_simulated_world_has_its_own_clock(name):
    """The simulated PBX does no I/O and reads no clock but its own."""
    assert imported(name).isdisjoint(
        {*CLOCK_MODULES, "asyncio", "websockets", "socket", "ssl", "selectors", "threading"}
    )
    assert called_attributes(name).isdisjoint({"utcnow", "today", "sleep", "open_connection"})


def test_simulated_world_is_complete():
    """The modules above exist."""
    assert module_names() >= SIMULATED_WORLD


@pytest.mark.slow
@for_each("name", sorted(module_names() - {"bridges"}))
def test_imports_are_statements(name):
    """import-linter does not see imports made by function calls.

    ``bridges`` loads its names lazily. Its statements for type checkers import the same modules.
    """
    names = {node.id for node in nodes(name) if isinstance(node, ast.Name)}
    assert names.isdisjoint({"__import__", "importlib", "import_module"})


def test_import_loads_no_module():
    """Importing the package loads none of its modules: the command line starts faster."""
    loaded = run("import sys, basix_ws_cti\nprint(*sys.modules)")
    assert [name for name in loaded if name.startswith("basix_ws_cti")] == ["basix_ws_cti"]


def test_parser_loads_only_what_parses():
    """The first use of ``MessageParser`` loads the parser and what that needs."""
    loaded = run("import sys, basix_ws_cti\nbasix_ws_cti.MessageParser\nprint(*sys.modules)")
    own = {
        name.removeprefix("basix_ws_cti.").partition(".")[0]
        for name in loaded
        if name.startswith("basix_ws_cti.") and not name.endswith("__mypyc")
    }
    assert own == {
        *("_internal", "elements", "exceptions", "messages", "parsing", "states", "terms"),
    }
    assert "basix_ws_cti._internal.time_slice" not in loaded


def test_import_loads_nothing_heavy():
    """Importing the package, and parsing, loads neither asyncio, websockets nor bert."""
    loaded = f"print(*[name for name in {HEAVY!r} if name in sys.modules], 'end')"
    written = [field_spec("user", "id"), info_event("user", (1,))]
    code = f"""
import sys
import tomllib
import basix_ws_cti
{loaded}
parser = basix_ws_cti.MessageParser(on_info_event=lambda *given: print(given[1].id))
for frame in {written!r}:
    parser.handle_message(frame)
{loaded}
connect = basix_ws_cti.connect
print("asyncio" in sys.modules, "websockets" in sys.modules, callable(connect))
"""
    assert run(code) == ["end", "1", "end", "True", "True", "True"]


def test_mirror_calls_and_session_load_nothing_heavy():
    """Users who own a socket can drive the core without asyncio."""
    loaded = f"print(*[name for name in {HEAVY!r} if name in sys.modules], 'end')"
    code = f"import sys\nfrom basix_ws_cti import CallTracker, Mirror, Session\n{loaded}"
    assert run(code) == ["end"]


def test_plugin_loads_the_simulator_on_demand():
    """The pytest plugin loads nothing heavy before a test requests a fixture."""
    loaded = f"print(*[name for name in {HEAVY!r} if name in sys.modules], 'end')"
    assert run(f"import sys\nimport basix_ws_cti.pytest_plugin\n{loaded}") == ["end"]


def test_command_list_loads_quickly():
    """Listing the commands loads neither the connector nor a terminal application."""
    code = f"""
import sys
import tomllib
import basix_ws_cti.cli.app
print(*[name for name in {(*HEAVY, "textual", "rich.live")!r} if name in sys.modules], "end")"""
    assert run(code) == ["end"]


@pytest.mark.parametrize("name", ["elements", "exceptions", "messages", "states", "terms"])
def test_documented_modules_are_attributes(name):
    """``basix_ws_cti.terms`` needs no import statement of its own."""
    code = f"import basix_ws_cti\nprint(basix_ws_cti.{name}.__name__)"
    assert run(code) == [f"basix_ws_cti.{name}"]


@for_each("name", ["nothing", "Connect", "asyncio", "__path", ""])
def test_unknown_names_are_attribute_errors(name):
    """The lazy loader raises what every module raises."""
    with pytest.raises(AttributeError) as caught:
        getattr(basix_ws_cti, name)
    assert str(caught.value) == f"module 'basix_ws_cti' has no attribute {name!r}"
    assert not hasattr(basix_ws_cti, name)


@pytest.mark.parametrize(
    "name", [*("connect", "Connection"), pytest.param("Client", marks=pytest.mark.slow)]
)
def test_lazy_names_can_be_imported(name):
    """A lazily loaded name can be imported like any other, in a process that has loaded none."""
    assert run(f"from basix_ws_cti import {name}; print({name}.__name__)") == [name]


def test_public_names():
    """``__all__`` is sorted, and every name in it exists."""
    assert basix_ws_cti.__all__ == sorted(set(basix_ws_cti.__all__))
    for name in basix_ws_cti.__all__:
        assert getattr(basix_ws_cti, name) is not None


def test_tests_run_against_the_right_build():
    """A compiled module left behind in the source tree would be tested instead of the source."""
    assert basix_ws_cti.compiled is (os.environ.get("BASIX_COMPILED") == "1")


@pytest.mark.slow
def test_star_import_gives_all_public_names():
    """A star import includes the lazily loaded names."""
    code = "from basix_ws_cti import *\nimport basix_ws_cti\n"
    code += "print(set(basix_ws_cti.__all__) <= set(dir()))"
    assert run(code) == ["True"]


def test_every_exception_is_public():
    """Every exception class of the package is among its public names."""
    classes = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and issubclass(value, Exception) and not name.startswith("_")
    }
    assert "BasixError" in classes
    assert classes <= set(basix_ws_cti.__all__)
    for name in classes:
        assert getattr(basix_ws_cti, name) is getattr(exceptions, name)


def test_no_module_has_the_name_of_its_function():
    """``from package import name`` would be ambiguous."""
    for name in module_names():
        defined = {
            node.name
            for node in nodes(name)[0].body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name.rpartition(".")[2] not in defined


def test_no_private_name_crosses_a_module_boundary():
    """A name that two modules need is public in one of them."""
    for name in module_names():
        for node in nodes(name):
            if isinstance(node, ast.ImportFrom) and (
                node.level or (node.module or "").startswith("basix_ws_cti")
            ):
                private = [a.name for a in node.names if re.match(r"_[a-z]", a.name)]
                assert private in ([], ["_internal"]), f"{name} imports {private}"


def test_page_of_packages_names_each_package_in_the_order_of_the_layers():
    page = DOCS / "development" / "packages.md"
    rows = re.findall(r"^\| `([\w/]+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    top_level = {name.partition(".")[0] for name in module_names()} - {"__main__"}
    assert sorted(rows) == sorted(top_level)
    settings = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    height = {name: at for at, layer in enumerate(layers) for name in layer.split(" | ")}
    assert [*map(height.get, rows[:-1])] == sorted(map(height.get, rows[:-1]))
    assert rows[-1] == "simulator"
