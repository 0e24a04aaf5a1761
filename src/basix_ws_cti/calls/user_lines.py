"""Legs on which users are busy: which of them talks, which wait, and which are consult calls.

A user who calls somebody, or answers another call, during a talk puts that talk on hold, although
the feed does not say so. A user is busy on a leg

- that they dialled: from the time of its offer;
- that the PBX called for their own call (click-to-call): from its answer;
- that connects them with another party: from the start of the connection.

Of the legs on which a user is busy, the one on which they became busy last, or were connected
last, is the *current* one. All others wait until it ends, and so do the legs that are connected
with them. If both happen at the same time, the leg that the user dialled is the current one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import Factory, define

from .leg_history import LegHistory

if TYPE_CHECKING:
    from .active_legs import ActiveLegs


@define(eq=False)
class UserLines:
    """The legs on which each user is busy, in all calls of one tracker."""

    new_consults: list[ActiveLegs] = Factory(list)
    """Legs of the calls that turned out to be consult calls, until the tracker clears the list. An
    event of another call may have shown it."""
    _lines: dict[int, list[LegHistory]] = Factory(dict)

    @property
    def is_empty(self) -> bool:
        """True if no user is busy."""
        return not self._lines

    def placed(self, leg: LegHistory, at: int) -> None:
        """Note that a user became busy on a leg for a call of their own.

        The call is a consult call if the user talks, or has a talk on hold, in another call.
        """
        if leg.user_id is None or leg.placed_at is not None:
            return
        leg.placed_at = at
        for other in self._lines.get(leg.user_id, ()):
            self._mark_consult(leg, other)
        self._note(leg, (at, True, leg.uuid), at)

    def connected(self, leg: LegHistory, at: int) -> None:
        """Note that the leg of a user is bridged, since ``at``."""
        if leg.user_id is None:
            return
        for other in self._lines.get(leg.user_id, ()):
            self._mark_consult(other, leg)
        key = (at, False, leg.uuid)
        if leg.line_key is None or key > leg.line_key:
            self._note(leg, key, at)

    def ended(self, leg: LegHistory, at: int) -> None:
        """Note that a leg ended: the user goes on with the leg before it."""
        if leg.line_key is None:
            return
        leg.line_key = None
        leg.waits = False
        user_id = leg.user_id
        assert user_id is not None  # noqa: S101 - only legs of users have a key
        lines = self._lines[user_id]
        lines.remove(leg)
        if lines:
            self._update(lines, at)
        else:
            del self._lines[user_id]

    def _note(self, leg: LegHistory, key: tuple[int, bool, str], at: int) -> None:
        user_id = leg.user_id
        assert user_id is not None  # noqa: S101 - the callers check it
        lines = self._lines.get(user_id)
        is_new = leg.line_key is None
        leg.line_key = key
        if is_new:
            leg.busy_since = at
        if lines is None:
            self._lines[user_id] = [leg]
            return
        if is_new:
            lines.append(leg)
        self._update(lines, at, shown=leg)

    def _mark_consult(self, placed: LegHistory, talk: LegHistory) -> None:
        """Mark the call of ``placed`` as a consult call if ``talk`` waits for it."""
        legs = placed.legs
        if (
            placed.placed_at is not None
            and talk.is_connected
            and talk.connected_at <= placed.placed_at
            and talk.legs is not legs
            and placed.uuid == legs.first_uuid
        ):
            if not legs.is_consult:
                self.new_consults.append(legs)
            legs.mark_consult(talk.uuid)

    def _update(self, lines: list[LegHistory], at: int, *, shown: LegHistory | None = None) -> None:
        """Let all legs of a user wait but the current one, from ``at`` on.

        ``shown``: the leg on which the user became busy at ``at``. It may be shown after one on
        which they became busy later, or when one that it takes over from is connected no more: as
        when the tracker starts late.
        """
        current = max(lines, key=_line_key)
        for leg in lines:
            waits = leg is not current
            since = max(at, _busy_elsewhere_since(leg, lines)) if waits else at
            if leg.waits != waits:
                leg.waits = waits
                leg.update_activity(since)
                partner = leg.partner
                if partner is not None:
                    partner.update_activity(since)
            is_late = waits and bool(leg.talks) and leg.talks[-1].ended > since
            if is_late and shown is not None and _line_key(shown) >= _line_key(leg):
                leg.hold_from(since)


def _line_key(leg: LegHistory) -> tuple[int, bool, str]:
    return leg.line_key or (0, False, "")


def _busy_elsewhere_since(leg: LegHistory, lines: list[LegHistory]) -> int:
    """Return the time at which the user became busy on a leg that has taken over from ``leg``."""
    key = _line_key(leg)
    return min(one.busy_since for one in lines if _line_key(one) > key)
