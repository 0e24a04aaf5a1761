"""Levels with hysteresis: a value that moves about a limit does not make an alarm flicker.

A level rises at once when a value reaches a limit. It falls only when the value is better than the
limit by a margin: a tenth of a duration, or one percentage point of a share.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from attrs import Factory, define

from .limits import Level, Limits, ShareLimits

_SEVERITY: dict[Level, int] = {"ok": 0, "warning": 1, "alarm": 2}


@define(eq=False)
class LevelTracker:
    """Levels of figures over time, by any key."""

    _levels: dict[Hashable, Level] = Factory(dict)

    def update(
        self, key: Hashable, value: float | None, limits: Limits | ShareLimits
    ) -> Level | None:
        """Return the level of a figure that now has this value.

        - ``key``: identity of the figure, such as its name and its queue.
        - ``value``: microseconds for ``Limits``, else a share. ``None``: there is nothing to
          measure; the level is ``None``, and the next value starts anew.
        """
        if value is None:
            self._levels.pop(key, None)
            return None
        level = limits.level(value)
        before = self._levels.get(key, "ok")
        if _SEVERITY[level] < _SEVERITY[before]:
            level = max(level, limits.level(limits.worse(value)), key=_SEVERITY.__getitem__)
            level = min(level, before, key=_SEVERITY.__getitem__)
        self._levels[key] = level
        return level

    def keep_only(self, keys: Iterable[Hashable]) -> None:
        """Forget all figures but these."""
        kept = set(keys)
        self._levels = {key: level for key, level in self._levels.items() if key in kept}
