"""Sphinx extension: adds types and defaults to the parameter lists of docstrings.

Docstrings describe a parameter in a list item such as ``- name: text`` (with ``name`` as a
literal). The type and the default come from the signature, so that a docstring need not repeat
them. ``Client`` passes most of its parameters on to ``connect``, whose list is added to its own.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from basix_ws_cti import Client, connect
from basix_ws_cti.client.client import LIVENESS

if TYPE_CHECKING:
    from sphinx.application import Sphinx

Parameters = dict[str, inspect.Parameter]

# A list item that starts with names: ``name``, or ``name(arguments)`` for a function.
ITEM = re.compile(r"(?P<indent>\s*)- (?P<names>``\w+[^`]*``(?:, ``\w+[^`]*``)*):(?= |$)")
NAME = re.compile(r"``(\w+)")

# A default whose repr is longer is described in the text.
LONGEST_DEFAULT = 30


def parameters_of(obj: Any) -> Parameters:
    """Return the parameters of a function or class; empty if there is no signature."""
    try:
        return dict(inspect.signature(obj).parameters)
    except (TypeError, ValueError):
        return {}


def add_types(lines: list[str], parameters: Parameters) -> list[str]:
    """Return the lines of a docstring with types and defaults after the names of parameters."""
    return [_add_type(line, parameters) for line in _join_names(lines)]


def _join_names(lines: list[str]) -> list[str]:
    """Return the lines with the names of each list item in one line."""
    joined: list[str] = []
    for line in lines:
        if joined and joined[-1].lstrip().startswith("- ``") and joined[-1].endswith("``,"):
            joined[-1] += " " + line.lstrip()
        else:
            joined.append(line)
    return joined


def _add_type(line: str, parameters: Parameters) -> str:
    item = ITEM.match(line)
    if item is None:
        return line
    names = item["names"].split(", ``")
    names = [names[0], *(f"``{name}" for name in names[1:])]
    known = [parameters.get(NAME.findall(name)[0]) for name in names]
    described = [_describe(parameter) for parameter in known if parameter is not None]
    if len(described) < len(names):
        return line
    # Names in a row with the same type and default share one description, after the last of them.
    shown = [
        name if at + 1 < len(names) and described[at + 1] == text else f"{name} ({text})"
        for at, (name, text) in enumerate(zip(names, described, strict=True))
    ]
    return f"{item['indent']}- {', '.join(shown)}:{line[item.end() :]}"


def _describe(parameter: inspect.Parameter) -> str:
    """Return type and default of a parameter in reStructuredText."""
    annotation = parameter.annotation
    if not isinstance(annotation, str):
        annotation = inspect.formatannotation(annotation)
    text = f"``{annotation.replace('tls.', 'ssl.')}``"  # the sources import ssl as tls
    default = parameter.default
    if default is None or isinstance(default, bool | int | float | str | tuple):
        shown = repr(default)
        if len(shown) <= LONGEST_DEFAULT:
            text += f", default ``{shown}``"
    return text


def connection_parameters() -> list[str]:
    """Return the list of the parameters of ``connect``, with the defaults of ``Client``."""
    parameters = {
        name: one.replace(default=LIVENESS[name]) if name in LIVENESS else one
        for name, one in parameters_of(connect).items()
    }
    lines = (inspect.getdoc(connect) or "").splitlines()
    first = next(at for at, line in enumerate(lines) if ITEM.match(line))
    after = next(at for at, line in enumerate(lines) if at > first and not line)
    return add_types(lines[first:after], parameters)


def process_docstring(
    _app: Sphinx, _what: str, _name: str, obj: Any, _options: object, lines: list[str]
) -> None:
    """Add types to a docstring; Sphinx calls it for each object."""
    if obj is Client:
        last = max(at for at, line in enumerate(lines) if ITEM.match(line))
        end = next(at for at in range(last, len(lines)) if not lines[at])
        lines[end:end] = ["", "Parameters of ``connect``:", "", *connection_parameters()]
    lines[:] = add_types(lines, parameters_of(obj))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the function above; Sphinx calls it."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", process_docstring)
    return {"parallel_read_safe": True}
