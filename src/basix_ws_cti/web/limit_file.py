"""File with the limits of figures, for all queues and for single ones.

It is TOML. Times are in seconds, shares in per cent; each pair is the limit of a warning and that
of an alarm::

    [all]
    wait = [60, 120]
    service_level = [80, 75]

    [queue.1900]
    wait = [30, 60]

A queue takes what its table lacks from ``all``, and ``all`` from the defaults.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from attrs import evolve, fields

from basix_ws_cti.board.limits import BoardLimits, Limits, ShareLimits
from basix_ws_cti.exceptions import UsageError

from .limit_set import LimitSet

_NAMES = tuple(field.name for field in fields(BoardLimits))


def read_limits(path: Path, defaults: BoardLimits) -> LimitSet:
    """Return the limits of a file.

    Raises ``UsageError`` that names the place of a mistake, and ``OSError``.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from None
    unknown = content.keys() - {"all", "queue"}
    if unknown:
        raise UsageError(f"{path}: expected [all] and [queue.ID], got [{min(unknown)}]")
    general = _limits(f"{path}, [all]", content.get("all", {}), defaults)
    queues = content.get("queue", {})
    if not isinstance(queues, dict):
        raise UsageError(f"{path}: expected a table [queue.ID] for each queue")
    return LimitSet(
        general,
        {
            group: _limits(f"{path}, [queue.{group}]", table, general)
            for group, table in queues.items()
        },
    )


def _limits(place: str, table: Any, defaults: BoardLimits) -> BoardLimits:
    if not isinstance(table, dict):
        raise UsageError(f"{place}: expected a table")
    pairs: dict[str, Any] = {}
    for name, pair in table.items():
        if name not in _NAMES:
            raise UsageError(f"{place}: unknown figure {name!r}, expected {', '.join(_NAMES)}")
        try:
            warning, alarm = pair
            if isinstance(getattr(defaults, name), ShareLimits):
                pairs[name] = ShareLimits(warning / 100, alarm / 100)
            else:
                pairs[name] = Limits(warning, alarm)
        except (TypeError, ValueError) as error:
            reason = str(error) if isinstance(error, UsageError) else "expected two numbers"
            raise UsageError(f"{place}, {name}: {reason}") from None
    return evolve(defaults, **pairs)
