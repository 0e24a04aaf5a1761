"""Representations of objects for people: ``repr``, Rich and Jupyter notebooks.

All of them leave out what is not set: most of a channel's fields are ``None``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from basix_ws_cti.exceptions import printable

# Rows of an HTML table. A mirror holds thousands of elements, and a notebook stores its output.
MAX_HTML_ROWS = 100

# Characters of a value in an HTML table. A text of the PBX can be as long as a frame.
_MAX_HTML_TEXT = 1000


class SetFields:
    """Base class for attrs classes whose representations show only the fields that are set.

    A field is set if its value differs from its default. A field with ``repr=False`` is never
    shown; a function given as ``repr`` formats the value in ``repr`` only. The attrs class needs
    ``repr=False``, so that attrs generates no ``__repr__`` of its own.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        fields = (f"{name}={format_value(value)}" for name, value, format_value in _shown(self))
        return f"{type(self).__name__}({', '.join(fields)})"

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        """Yield name and value of each field that is set, for Rich's pretty printer."""
        for name, value, _ in _shown(self):
            yield name, value

    def _repr_html_(self) -> str:
        """Return the fields that are set as an HTML table, for notebooks."""
        rows = [(name, value) for name, value, _ in _shown(self)]
        return html_table((type(self).__name__, ""), rows)


def count_of(noun: str) -> Callable[[Collection[Any]], str]:
    """Return a formatter for a collection field's ``repr``, such as ``<3 phases>``."""
    return lambda items: f"<{len(items)} {noun}>"


def html_table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], total: int | None = None
) -> str:
    """Return an HTML table of at most ``MAX_HTML_ROWS`` rows, safe whatever the values contain.

    Text is shown as it is, other values as their ``repr``, and ``None`` as an empty cell. A last
    line counts the rows that were left out, if ``total`` rows exist.
    """
    shown = [row for row, _ in zip(rows, range(MAX_HTML_ROWS), strict=False)]
    lines = [_html_row("th", headings), *(_html_row("td", row) for row in shown)]
    rest = 0 if total is None else total - len(shown)
    more = f"<p>{rest:,} more</p>" if rest > 0 else ""
    return f"<table>{''.join(lines)}</table>{more}"


def html_table_of_objects(objects: Mapping[Any, Any]) -> str:
    """Return an HTML table of attrs objects, with a column for each field that one of them sets."""
    rows = [
        {name: value for name, value, _ in _shown(item)}
        for item, _ in zip(objects.values(), range(MAX_HTML_ROWS), strict=False)
    ]
    columns = [*dict.fromkeys(name for row in rows for name in row)]
    cells = ([row.get(name) for name in columns] for row in rows)
    return html_table(columns, cells, len(objects))


def _shown(item: Any) -> Iterator[tuple[str, Any, Callable[[Any], str]]]:
    """Yield name, value and formatter of each field that is set, in order of declaration."""
    for attribute in attrs.fields(type(item)):
        value = getattr(item, attribute.name)
        default = attribute.default
        # True equals 1, but a field that the PBX sent as True is not the same as one with 1.
        is_default = type(value) is type(default) and value == default
        if attribute.repr and not is_default:
            yield attribute.name, value, attribute.repr if callable(attribute.repr) else repr


def _html_row(tag: str, values: Iterable[object]) -> str:
    cells = (f'<{tag} style="text-align: left">{_html_text(value)}</{tag}>' for value in values)
    return f"<tr>{''.join(cells)}</tr>"


def _html_text(value: object) -> str:
    from html import escape  # noqa: PLC0415 - loads a table of 2,000 entities

    if isinstance(value, tuple) and value and all(isinstance(item, SetFields) for item in value):
        return html_table_of_objects(dict(enumerate(value)))  # the legs of a call
    text = "" if value is None else value if isinstance(value, str) else repr(value)
    return escape(printable(text, _MAX_HTML_TEXT))
