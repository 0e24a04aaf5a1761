"""Text form of alert rules.

::

    rule    = figure ("<" | ">") limit *("," option "=" value) ["@" queue]
    figure  = "longest-wait" | "waiting" | "service-level" | "feed-lost"
    option  = "end" | "within" | "window" | "calls"

Limit and ``end`` are times (``90``, ``90s``, ``1.5m``, ``1h``), a number of calls (``5``), or for
``service-level`` a percentage (``80%``). ``within`` and ``window`` are times, ``calls`` a number.
The queue is everything after the first ``@``: an id, extension, name or label. Spaces around a part
are ignored.

This module knows texts only. ``AlertRule`` checks the values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, NoReturn, get_args

from attrs import frozen

from basix_ws_cti._internal.arguments import check_text
from basix_ws_cti.exceptions import UsageError, printable

AlertFigure = Literal["longest_wait", "waiting", "service_level", "feed_lost"]
"""Figure that a rule watches; see ``AlertRule``."""

FIGURES: tuple[AlertFigure, ...] = get_args(AlertFigure)
"""All figures."""

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([smh]?)")
_COUNT = re.compile(r"\d{1,9}")
_PERCENTAGE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)%")

_NAMES = {figure.replace("_", "-"): figure for figure in FIGURES}

# Parameter of AlertRule for each option, and the type of its value.
_OPTIONS = {
    "end": ("end", None),
    "within": ("within", "time"),
    "window": ("window", "time"),
    "calls": ("min_calls", "count"),
}

_TYPES = {
    "longest_wait": "time",
    "waiting": "count",
    "service_level": "percentage",
    "feed_lost": "time",
}


@frozen
class _Part:
    """Part of a rule's text."""

    text: str
    """Text without surrounding spaces."""
    column: int
    """Number of its first character in the rule, from 1."""


def parse_text(text: str) -> tuple[AlertFigure, float, dict[str, Any]]:
    """Return figure, limit and the other parameters of the rule that a text describes.

    Raises ``UsageError``.
    """
    check_text("an alert rule", text)
    return _Parser(text).parse()


def format_text(figure: AlertFigure, limit: float, parameters: Mapping[str, Any]) -> str:
    """Return the text of a rule, from which ``parse_text`` reads the same values."""
    kind = _TYPES[figure]
    sign = "<" if figure == "service_level" else ">"
    parts = [f"{figure.replace('_', '-')}{sign}{_FORMATS[kind](limit)}"]
    for name, (parameter, own_kind) in _OPTIONS.items():
        if parameter in parameters:
            parts.append(f"{name}={_FORMATS[own_kind or kind](parameters[parameter])}")
    queue = f"@{parameters['queue']}" if "queue" in parameters else ""
    return ",".join(parts) + queue


def quoted(text: str) -> str:
    """Return a rule's text in quotation marks, for an error."""
    return printable(repr(text), 80)


class _Parser:
    """Parser of one rule."""

    def __init__(self, text: str) -> None:
        self._text = text

    def parse(self) -> tuple[AlertFigure, float, dict[str, Any]]:
        condition, at, queue = self._text.partition("@")
        first, *options = self._split(condition)
        values: dict[str, Any] = {}
        if at:
            values["queue"] = self._queue(_Part(queue.strip(), len(condition) + 2))
        figure, limit = self._condition(first)
        for option in options:
            self._option(option, figure, values)
        return figure, limit, values

    def _fail(self, part: _Part, problem: str) -> NoReturn:
        raise UsageError(f"alert rule {quoted(self._text)}, column {part.column}: {problem}")

    def _split(self, condition: str) -> list[_Part]:
        parts, column = [], 1
        for raw in condition.split(","):
            spaces = len(raw) - len(raw.lstrip())
            parts.append(_Part(raw.strip(), column + spaces))
            column += len(raw) + 1
        return parts

    def _condition(self, part: _Part) -> tuple[AlertFigure, float]:
        match = re.search("[<>]", part.text)
        name = part.text if match is None else part.text[: match.start()].rstrip()
        figure = _NAMES.get(name)
        if figure is None:
            self._fail(
                part,
                f"unknown figure {printable(repr(name), 40)}: use "
                "longest-wait, waiting, service-level or feed-lost",
            )
        sign = "<" if figure == "service_level" else ">"
        example = f"{name}{sign}{_EXAMPLES[_TYPES[figure]]}"
        if match is None or match[0] != sign:
            self._fail(part, f"{name} needs {sign!r} and a limit, such as {example}")
        rest = part.text[match.end() :]
        column = part.column + match.end() + len(rest) - len(rest.lstrip())
        return figure, self._value(_Part(rest.strip(), column), _TYPES[figure], example)

    def _option(self, part: _Part, figure: str, values: dict[str, Any]) -> None:
        name, equals, text = (piece.strip() for piece in part.text.partition("="))
        if name not in _OPTIONS or not equals:
            self._fail(
                part,
                f"unknown option {printable(repr(part.text), 40)}: use "
                "end=…, within=…, window=… or calls=…",
            )
        parameter, kind = _OPTIONS[name]
        if parameter in values:
            self._fail(part, f"{name} is given twice: leave one out")
        kind = kind or _TYPES[figure]
        column = part.column + part.text.index("=") + 1
        values[parameter] = self._value(_Part(text, column), kind, f"{name}={_EXAMPLES[kind]}")

    def _value(self, part: _Part, kind: str, example: str) -> float:
        value = _READERS[kind](part.text)
        if value is None:
            self._fail(part, f"expected {_EXPECTED[kind]}, such as {example}")
        return value

    def _queue(self, part: _Part) -> str:
        if not part.text:
            self._fail(part, "no queue after '@': write its id or name, or leave out '@'")
        return part.text


def _read_time(text: str) -> float | None:
    match = _TIME.fullmatch(text)
    return None if match is None else float(match[1]) * _SECONDS[match[2]]


def _read_count(text: str) -> int | None:
    return int(text) if _COUNT.fullmatch(text) else None


def _read_percentage(text: str) -> float | None:
    match = _PERCENTAGE.fullmatch(text)
    # From the digits: 0.57 is not 57 * 0.01.
    return None if match is None else float(match[1]) / 100


def _format_time(value: float) -> str:
    return f"{_digits(value)}s"


def _format_percentage(value: float) -> str:
    return f"{_digits(value * 100)}%"


def _format_count(value: float) -> str:
    return f"{value:.0f}"


def _digits(value: float) -> str:
    """Return a number with up to six decimals, without an exponent."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


_READERS: dict[str, Callable[[str], float | None]] = {
    "time": _read_time,
    "count": _read_count,
    "percentage": _read_percentage,
}
_FORMATS: dict[str, Callable[[float], str]] = {
    "time": _format_time,
    "count": _format_count,
    "percentage": _format_percentage,
}
_EXAMPLES = {"time": "60s", "count": "5", "percentage": "80%"}
_EXPECTED = {
    "time": "a time in s, m or h",
    "count": "a number of calls",
    "percentage": "a percentage",
}
