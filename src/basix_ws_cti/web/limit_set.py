"""Limits of all queues together, and of single queues."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import Factory, frozen

from basix_ws_cti.board.limits import DEFAULT_BOARD_LIMITS, BoardLimits


@frozen
class LimitSet:
    """Limits of the figures of a call centre."""

    general: BoardLimits = DEFAULT_BOARD_LIMITS
    """Limits of the headline figures, and of each queue without limits of its own."""

    queues: Mapping[str, BoardLimits] = Factory(dict)
    """Limits of single queues, by the group's id as text."""

    def of(self, group_id: int | str) -> BoardLimits:
        """Return the limits of a queue."""
        return self.queues.get(str(group_id), self.general)
