"""Who may import what, what an import costs, and the public names."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from frames import field_spec, info_event

import basix_ws_cti
from basix_ws_cti import exceptions

ROOT = Path(basix_ws_cti.__file__).parent

# Nobody pays for these who only parses frames.
HEAVY = ("asyncio", "websockets", "bert", "erlastic")

STDLIB = sys.stdlib_module_names - {"asyncio"}

# Clocks: the modules, and the calls of datetime that read one.
CLOCKS = {"time", "sched", "timeit"}
CLOCK_CALLS = {"now", "utcnow", "today"}

# Every module of the package, and what it is: see the tests of each group.
FOUNDATION = {"exceptions", "octets", "states", "terms"}
READING = {"callables", "drafts", "elements", "keys", "messages", "records", "straight", "parser"}
PICTURE = {
    "backoff",
    "building",
    "commands",
    "endpoint",
    "logs",
    "mirror",
    "numbering",
    "secrecy",
    "sharing",
    "status",
}
CALLS = {
    "calls",
    "calls.causes",
    "calls.endings",
    "calls.events",
    "calls.live",
    "calls.model",
    "calls.queues",
    "calls.reading",
    "calls.record",
    "calls.tracker",
}
CORE = READING | PICTURE | CALLS
RECORDING = {
    "recording",
    "recording.anonymity",
    "recording.disk",
    "recording.pseudonyms",
    "recording.rewriting",
}
CONNECTOR = {"connection", "handshake", "turns", "websocket"}
LIVE = {"audience", "client", "subscriptions", "callbacks"}

# One on top of the other: a module imports from its own row and those before it.
ROWS = [FOUNDATION, READING, PICTURE | CALLS | RECORDING, CONNECTOR, LIVE]
SIMULATOR = {
    "simulator",
    "simulator.__main__",
    "simulator.access",
    "simulator.api",
    "simulator.certificates",
    "simulator.commands",
    "simulator.control",
    "simulator.faults",
    "simulator.feed",
    "simulator.ledger",
    "simulator.model",
    "simulator.pbx",
    "simulator.pipe",
    "simulator.reception",
    "simulator.scenarios",
    "simulator.server",
    "simulator.sessions",
    "simulator.timeline",
    "simulator.wire",
}
# Its world: no I/O, and no clock but its own.
PURE = {
    "simulator.access",
    "simulator.commands",
    "simulator.ledger",
    "simulator.model",
    "simulator.pbx",
    "simulator.scenarios",
    "simulator.sessions",
    "simulator.timeline",
    "simulator.wire",
}
PLUGIN = {"pytest_plugin"}
CLI = {
    "__main__",
    "cli",
    *(f"cli.{module.name}" for module in pkgutil.iter_modules([str(ROOT / "cli")])),
}
PACKAGE = {""}  # __init__ itself


def module_names():
    """The package's modules, the package itself being the empty name."""
    prefix = "basix_ws_cti."
    found = pkgutil.walk_packages([str(ROOT)], prefix)
    names = {module.name.removeprefix(prefix) for module in found}
    return {"", *(name for name in names if not name.endswith("__mypyc"))}


def source(name):
    path = ROOT.joinpath(*name.split(".")) if name else ROOT
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def tree(name):
    return ast.parse(source(name).read_text(encoding="utf-8"))


def executed(node):
    """All nodes that may run: what stands under ``if TYPE_CHECKING`` never does."""
    yield node
    test = ast.unparse(node.test) if isinstance(node, ast.If) else ""
    if test == "TYPE_CHECKING":
        children = node.orelse
    elif test == "not TYPE_CHECKING":
        children = node.body
    else:
        children = ast.iter_child_nodes(node)
    for child in children:
        yield from executed(child)


def imports(name, text=None):
    """The full names of all that a module imports, in functions as well.

    Of ``from a import b`` that is ``a.b``, which may be a module or a name in one.
    """
    package = ["basix_ws_cti", *filter(None, name.split("."))]
    if source(name).name != "__init__.py":
        package.pop()
    for node in executed(tree(name) if text is None else ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            base += [node.module] if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)


def outside(name):
    """The top-level names of all that a module imports from elsewhere."""
    return {full.split(".")[0] for full in imports(name)} - {"basix_ws_cti"}


def inside(name):
    """The modules of the package that a module imports, as the table has them."""
    known = module_names()
    found = set()
    for full in imports(name):
        if full.split(".")[0] == "basix_ws_cti":
            path = full.removeprefix("basix_ws_cti").removeprefix(".")
            while path not in known:  # a name in a module: the module it is in
                path = path.rpartition(".")[0]
            found.add(path)
    return found


def test_every_module_is_in_the_table():
    """The groups below name every module of the package, each once."""
    groups = [FOUNDATION, CORE, RECORDING, CONNECTOR, LIVE, SIMULATOR, PLUGIN, CLI, PACKAGE]
    assert module_names() == set().union(*groups)
    assert sum(map(len, groups)) == len(module_names())


def test_imports_are_found():
    """Imports are found where they are, relative ones by the place of their module."""
    text = """
from __future__ import annotations
import os.path, sys as system
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import asyncio
    from .connection import connect
else:
    import json
def function():
    from .. import parser
    from .pbx import Pbx
    import websockets.client
class Name:
    from . import wire
"""
    assert set(imports("simulator.server", text)) == {
        "__future__.annotations",
        "os.path",
        "sys",
        "typing.TYPE_CHECKING",
        "json",
        "basix_ws_cti.parsing.parser",
        "basix_ws_cti.simulator.pbx.Pbx",
        "websockets.client",
        "basix_ws_cti.simulator.frame_writer",
    }
    assert set(imports("simulator", "from . import pbx\nfrom .. import terms")) == {
        "basix_ws_cti.simulator.pbx",
        "basix_ws_cti.terms",
    }
    assert set(imports("", "from .parser import MessageParser")) == {
        "basix_ws_cti.parsing.parser.MessageParser"
    }
    assert {"connection", "parser", "elements"} <= inside("")
    assert inside("simulator") == {
        *("simulator.access", "simulator.faults", "simulator.feed", "simulator.ledger"),
        *("simulator.model",),
        *("simulator.pbx", "simulator.server", "simulator.sessions"),
    }


@pytest.mark.parametrize("name", sorted(FOUNDATION))
def test_foundation(name):
    """Exceptions, states and terms need the standard library, attrs and each other alone."""
    assert outside(name) <= STDLIB | {"attrs"}
    assert inside(name) <= FOUNDATION


@pytest.mark.parametrize("name", sorted(FOUNDATION | CORE))
def test_core(name):
    """The core does no I/O and reads no clock."""
    assert outside(name) <= STDLIB | {"attrs"}
    assert outside(name).isdisjoint({*HEAVY, *CLOCKS, "socket", "ssl", "selectors", "http"})
    called = {node.attr for node in executed(tree(name)) if isinstance(node, ast.Attribute)}
    assert called.isdisjoint(CLOCK_CALLS)
    assert inside(name) <= FOUNDATION | CORE


def test_the_map_shows_every_room():
    """The map in docs/index.md has each room once, below all that it imports."""
    page = Path(__file__).parent.parent / "docs" / "index.md"
    text = page.read_text(encoding="utf-8").partition("| room | what it does |")[2]
    rooms = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    modules = module_names() - PACKAGE - {"__main__"}
    assert sorted(rooms) == sorted({name.partition(".")[0] for name in modules})
    above = {""}
    for room in rooms:
        above.add(room)
        for name in modules:
            if name.partition(".")[0] == room:
                assert {one.partition(".")[0] for one in inside(name)} <= above, name


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_rows_stand_on_each_other(number):
    """Imports go one way: from a row to itself and to the rows that it stands on."""
    for name in ROWS[number]:
        assert inside(name) <= set().union(*ROWS[: number + 1]), name


@pytest.mark.parametrize("name", sorted(RECORDING))
def test_recordings(name):
    """Recordings are files with times: no connection, and nothing that runs one.

    They need nothing of calls and pictures; only who shows them needs recordings.
    """
    assert outside(name) <= STDLIB | {"attrs"}
    assert outside(name).isdisjoint({*HEAVY, "socket", "ssl", "selectors", "http"})
    assert inside(name) <= FOUNDATION | READING | RECORDING
    assert {one for one in module_names() - RECORDING if name in inside(one)} <= CLI


@pytest.mark.parametrize("name", sorted(FOUNDATION | CORE | RECORDING | CONNECTOR | LIVE | PACKAGE))
def test_the_encoder_is_the_simulator_s(name):
    """Nothing outside the simulator imports the bert package, or the simulator."""
    assert outside(name).isdisjoint({"bert", "erlastic"})
    assert inside(name).isdisjoint(SIMULATOR)


@pytest.mark.parametrize("name", sorted(SIMULATOR))
def test_simulator(name):
    """The simulator shares errors and what makes a log fit with the code that it tests, no more."""
    assert inside(name) <= SIMULATOR | {"exceptions", "logs"}
    assert outside(name) <= STDLIB | {*HEAVY, "attrs", "trustme"}


@pytest.mark.parametrize("name", sorted(PURE))
def test_the_world_is_pure(name):
    """The simulated PBX itself does no I/O and reads no clock but its own."""
    assert outside(name) <= STDLIB | {"attrs", "bert", "erlastic"}
    assert outside(name).isdisjoint({*CLOCKS, "socket", "ssl", "selectors", "threading"})
    assert {full for full in imports(name) if full.startswith("http")} <= {"http.HTTPStatus"}
    assert inside(name) <= PURE | {"exceptions"}
    called = {node.attr for node in executed(tree(name)) if isinstance(node, ast.Attribute)}
    assert called.isdisjoint({"utcnow", "today", "sleep", "open_connection"})


def test_the_plugin_waits_to_be_asked():
    """The pytest plugin loads nothing heavy before a test asks for a fixture."""
    loaded = f"print(*[name for name in {HEAVY!r} if name in sys.modules], 'end')"
    assert run(f"import sys\nimport basix_ws_cti.pytest_plugin\n{loaded}") == ["end"]
    assert outside("pytest_plugin") <= STDLIB | {"pytest"}
    assert inside("pytest_plugin") <= SIMULATOR


@pytest.mark.parametrize("name", sorted(module_names()))
def test_no_hidden_imports(name):
    """Imports are import statements: those made by a call would not be seen here."""
    names = {node.id for node in executed(tree(name)) if isinstance(node, ast.Name)}
    assert names.isdisjoint({"__import__", "importlib", "import_module"})
    told = {full for full in imports(name) if full.startswith("importlib")}
    assert told <= {"importlib.metadata.version"}  # which imports nothing of ours


def test_only_the_package_loads_the_connector():
    """Connector and client are imported by the package alone, and there inside a function."""
    for module in ("websocket", "connection", "subscriptions", "callbacks", "client"):
        importers = {name for name in module_names() if module in inside(name)}
        assert importers - LIVE - CONNECTOR - CLI <= {""}


def test_the_package_loads_what_parses():
    """Importing the package loads what parses frames, and nothing that parsing does without."""
    loaded = run("import sys, basix_ws_cti\nprint(*sys.modules)")
    own = {
        name.removeprefix("basix_ws_cti.") for name in loaded if name.startswith("basix_ws_cti.")
    }
    assert {name for name in own if not name.endswith("__mypyc")} == FOUNDATION | READING


@pytest.mark.parametrize("name", sorted(LIVE))
def test_the_client_sees_no_bytes(name):
    """The client deals in messages: it knows neither WebSockets nor terms."""
    assert outside(name) <= STDLIB | {"attrs", "asyncio"}
    assert inside(name).isdisjoint({"terms", "records", "parser", "endpoint"})


@pytest.mark.parametrize("name", sorted(CONNECTOR))
def test_the_connector_knows_no_picture(name):
    """The connector is thin: no mirror, no client; what it needs is asyncio and websockets."""
    assert inside(name).isdisjoint({"mirror", "commands", "backoff", "status", *CALLS, *LIVE})
    assert outside(name) <= STDLIB | {"attrs", "asyncio", "websockets"}


@pytest.mark.parametrize("name", sorted(module_names() - CLI))
def test_nothing_needs_the_command_line(name):
    """The library works without the command line and what that needs."""
    assert inside(name).isdisjoint(CLI)
    assert outside(name).isdisjoint({"typer", "rich", "textual"})


def test_the_command_line_loads_late():
    """Showing what commands there are loads neither the connector nor a picture of a terminal."""
    code = f"""
import sys
import basix_ws_cti.cli.app
print(*[name for name in {(*HEAVY, "textual", "rich.live")!r} if name in sys.modules], "end")"""
    assert run(code) == ["end"]


def test_only_the_client_and_the_package_know_of_calls():
    """Calls are made of the picture: nothing but the client and the package imports them."""
    importers = {name for name in module_names() - CALLS if inside(name) & CALLS}
    assert importers - CLI == {"", "client"}


def names(node):
    return {alias.name for alias in node.names}


def run(code):
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_import_loads_nothing_heavy():
    """Importing the package, and parsing, loads neither asyncio, websockets nor bert."""
    loaded = f"print(*[name for name in {HEAVY!r} if name in sys.modules], 'end')"
    written = [field_spec("user", "id"), info_event("user", (1,))]
    code = f"""
import sys
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


@pytest.mark.parametrize(
    ("name", "module"), [("connect", "connector"), ("Connection", "connection")]
)
def test_the_connector_s_names(name, module):
    """``connect`` and ``Connection`` are the package's, whether by attribute or by import."""
    module = importlib.import_module(f"basix_ws_cti.transport.{module}")
    assert getattr(basix_ws_cti, name) is getattr(module, name)
    assert run(f"from basix_ws_cti import {name}; print({name}.__name__)") == [name]


@pytest.mark.parametrize("name", ["nothing", "Connect", "asyncio", "__path", ""])
def test_unknown_names(name):
    """Any other name is an AttributeError, as of every module."""
    with pytest.raises(AttributeError) as caught:
        getattr(basix_ws_cti, name)
    assert str(caught.value) == f"module 'basix_ws_cti' has no attribute {name!r}"
    assert not hasattr(basix_ws_cti, name)


def test_public_names():
    """``__all__`` is sorted, names everything once, and all of it is there."""
    assert basix_ws_cti.__all__ == sorted(set(basix_ws_cti.__all__))
    for name in basix_ws_cti.__all__:
        assert getattr(basix_ws_cti, name) is not None


def test_what_is_tested():
    """The tests run against the sources, or against what was compiled if that is what is asked
    for: what a build has left behind in the tree would be taken for them.
    """
    assert basix_ws_cti.compiled is (os.environ.get("BASIX_COMPILED") == "1")


def test_star_import():
    """A star import gives all public names."""
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
