"""Public names: docs/reference/, type checkers, docstrings and tables."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import re
import typing
from pathlib import Path

import attrs
import pytest
from support.cases import for_each
from support.paths import ROOT

import basix_ws_cti
from basix_ws_cti import exceptions
from basix_ws_cti.parsing import record_decoder
from basix_ws_cti.states import OtherState, State

REFERENCE = ROOT / "docs" / "reference"
SURFACE = ROOT / "tests" / "typing" / "public_surface.py"

# A directive, what it names, and its options.
DIRECTIVE = re.compile(r"^\.\. auto(\w+):: basix_ws_cti\.?(\S*)\n((?:   :.*\n?)*)", re.MULTILINE)


def options(text):
    """Return a directive's options as lists: ``:members: a, b`` is ``["a", "b"]``."""
    pairs = re.findall(r":([\w-]+):(.*)", text)
    return {name: [one for one in re.split(r",?\s+", values) if one] for name, values in pairs}


def excluded_names(values):
    """Return the names that a directive excludes; a leading plus extends the default."""
    return {name.lstrip("+") for name in values.get("exclude-members", ())}


def module(name):
    return importlib.import_module(f"basix_ws_cti.{name}".rstrip("."))


def text_of(page):
    return (REFERENCE / page).read_text(encoding="utf-8")


def all_pages():
    """Return the text of all pages of the reference."""
    return "\n".join(text_of(page) for page in sorted(REFERENCE.glob("*.md")))


def documented():
    """Return module and name of everything listed; the package is the empty module."""
    found = []
    for directive, full, text in DIRECTIVE.findall(all_pages()):
        if directive == "module":
            values = options(text)
            if "members" not in values:  # it documents the module only
                continue
            own = [
                name
                for name, value in vars(module(full)).items()
                if not name.startswith("_")
                and getattr(value, "__module__", "") == module(full).__name__
            ]
            names = set(values["members"] or own) - set(excluded_names(values))
            found += [(full, name) for name in names]
        else:
            found.append((full.rpartition(".")[0], full.rpartition(".")[2]))
    return found


def imported_from():
    """Return the modules besides the package from which names are imported."""
    return set(re.findall(r"`basix_ws_cti\.([\w.]+)`", text_of("index.md").partition("\n| ")[0]))


def test_every_directive_is_parsed():
    text = all_pages()
    assert len(DIRECTIVE.findall(text)) == text.count(".. auto") > 20
    assert {("", "Channel"), ("states", "Park"), ("", "connect")} <= set(documented())


def test_no_name_is_listed_twice():
    """Sphinx could not choose between two targets."""
    found = documented()
    assert sorted(found) == sorted(set(found))


def test_reference_lists_all_public_names():
    """The reference lists ``__all__``, and names of other modules only if its index says so."""
    elsewhere = imported_from()
    assert elsewhere >= {"states", "terms", "simulator"}
    assert {name for module, name in documented() if not module} == set(basix_ws_cti.__all__)
    assert {module for module, _ in documented()} == {"", *elsewhere}


def test_reference_lists_the_simulator_names():
    exported = set(module("simulator").__all__)
    listed = {name for module, name in documented() if module.split(".")[0] == "simulator"}
    assert exported - {"Pbx", "faults"} <= listed


def test_listed_names_can_be_imported():
    for module_name, name in documented():
        assert hasattr(module(module_name), name), f"{module_name}.{name}"


def functions(cls):
    """Yield public functions, property getters and ``__init__`` of a class."""
    for name, value in vars(cls).items():
        function = getattr(value, "fget", None) or getattr(value, "__func__", value)
        if inspect.isfunction(function) and (name == "__init__" or not name.startswith("_")):
            yield name, function


@for_each(
    "module_name, name",
    sorted(one for one in documented() if not one[0].startswith(("simulator", "pytest_plugin"))),
)
def test_annotations_can_be_resolved(module_name, name):
    """``typing.get_type_hints`` works on every public class, its methods, and functions: tools
    that read annotations at run time (converters, documentation) need it.
    """
    value = getattr(module(module_name), name)
    if inspect.isclass(value):
        typing.get_type_hints(value)
        for _, function in functions(value):
            typing.get_type_hints(function)
    elif typing.get_origin(value) is typing.Literal:
        assert all(isinstance(word, str) for word in typing.get_args(value))
    elif callable(value):
        typing.get_type_hints(inspect.unwrap(value))
    else:
        assert all(map(inspect.isclass, typing.get_args(value)))  # a union


@for_each("name", basix_ws_cti.__all__)
def test_public_names_have_docstrings(name):
    """This includes methods and properties of classes."""
    value = getattr(basix_ws_cti, name)
    if name in {"Change", "ClientState", "Message"}:  # unions: their text is in the source
        return
    assert inspect.getdoc(value)
    if inspect.isclass(value):
        for method, function in functions(value):
            assert method == "__init__" or function.__doc__, method


def test_typing_example_uses_every_public_name():
    """Type checkers read ``tests/typing/public_surface.py``."""
    tree = ast.parse(SURFACE.read_text(encoding="utf-8"))
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "basix_ws_cti"
        for alias in node.names
    }
    assert imported == set(basix_ws_cti.__all__)


def test_package_contains_py_typed():
    assert Path(basix_ws_cti.__file__).with_name("py.typed").is_file()


# -- tables and fields -------------------------------------------------------------------------


def rows(page):
    """Return the table of a page, row by row."""
    return [
        [cell.strip() for cell in row.strip("| ").split(" | ")]
        for row in re.findall(r"^\| .*", text_of(page), re.MULTILINE)
    ]


def test_error_table_has_cause_and_remedy_for_every_error():
    raised = {name for name, value in vars(exceptions).items() if inspect.isclass(value)}
    listed = {row[0].strip("`"): row[1:] for row in rows("errors.md") if row[0] != "error"}
    assert set(listed) == raised | {
        f"simulator.{name}" for name in ("ApiError", "NotPossibleError", "RefusedError")
    }
    assert all(cause and remedy for cause, remedy in listed.values())


def test_kind_table_is_complete():
    table = {row[0].strip("`"): row[1].strip("`") for row in rows("elements.md")[1:-1]}
    assert table == {kind: cls.__name__ for kind, cls in record_decoder.ELEMENTS.items()}


def test_state_table_is_complete():
    table = {row[0].strip("`"): row[1].strip("`") for row in rows("states.md")[1:-1]}
    known = [cls for cls in State.__subclasses__() if cls is not OtherState]
    assert table == {cls.name: cls.__name__ for cls in known}


@pytest.mark.parametrize(
    ("heading", "row_class"),
    [
        ("Columns of CallRecord", basix_ws_cti.CallRecord),
        ("Columns of QueueWait", basix_ws_cti.QueueWait),
        ("Columns of Participation", basix_ws_cti.Participation),
        ("Figures of a queue", basix_ws_cti.QueueFigures),
        ("Figures of an agent", basix_ws_cti.AgentFigures),
    ],
)
def test_page_of_figures_defines_each_column_and_figure_once(heading, row_class):
    page = (ROOT / "docs" / "explanation" / "figures.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {heading}\n(.*?)^## ", page, re.MULTILINE | re.DOTALL)[1]
    first_cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    listed = [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(listed) == sorted(attribute.name for attribute in attrs.fields(row_class))


def described(path):
    """Return class and name of the fields with a docstring in the source, as Sphinx sees them."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            for line, below in itertools.pairwise(node.body):
                if isinstance(line, ast.AnnAssign) and isinstance(below, ast.Expr):
                    found.add((node.name, line.target.id))
    return found


@pytest.mark.parametrize("module_name", ["elements", "states"])
def test_every_field_is_described(module_name):
    """Fields of elements, of states and of their parts have a description in the source."""
    target = module(module_name)
    classes = [cls for cls in vars(target).values() if inspect.isclass(cls) and attrs.has(cls)]
    fields = {
        (next(base for base in cls.__mro__ if one.name in base.__annotations__).__name__, one.name)
        for cls in classes
        if cls.__module__ == target.__name__
        for one in attrs.fields(cls)
    }
    assert len(fields) > 20
    assert fields <= described(Path(target.__file__))
