"""Waits of one call in queues, as the simulated PBX knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import Factory, define

from .ledger_rows import WaitRow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .model import State


@define(eq=False)
class _Wait:
    """One stay in the queue of one group."""

    group_id: int
    entered: int
    left: int | None = None  # also set during a menu or an announcement
    result: str | None = None
    next_group_id: int | None = None
    answered_by_user_id: int | None = None
    rings: int = 0


@define(eq=False)
class Waits:
    """Stays of one call in queues, the oldest first.

    A menu or an announcement does not end a wait: it goes on if the call returns to the same
    group. Times are microseconds since the epoch.
    """

    _waits: list[_Wait] = Factory(list)

    @property
    def is_paused(self) -> bool:
        """True during a menu or an announcement after which the call may return to the queue."""
        current = self._current
        return current is not None and current.left is not None

    def state_changed(self, state: State, now: int) -> None:
        """Record the new state of the call's lead leg."""
        is_group = state.name == "calling" and state.data.get("target_type") == "group"
        if is_group:
            self._enter(state.data["group_id"], now)
        elif state.name in {"ivr", "xml_ivr", "system_operation"}:
            current = self._current
            if current is not None and current.left is None:
                current.left = now
        elif state.name in {"calling", "calling_siptermination", "park"}:
            self.end("overflowed", now)
        elif state.name == "voicemail":
            self.end("voicemail", now)
        elif state.name != "bridged":
            self.end("ended", now)

    def phone_rang(self) -> None:
        """Record that a phone begins to ring for the call."""
        current = self._current
        if current is not None and current.left is None:
            current.rings += 1

    def end(
        self,
        result: str,
        now: int,
        *,
        next_group_id: int | None = None,
        answered_by_user_id: int | None = None,
    ) -> None:
        """End the wait that lasts, if there is one.

        A menu or an announcement that the caller listens to until somebody answers, or until
        they hang up, is a part of the wait.
        """
        wait = self._current
        if wait is not None:
            if wait.left is None or result in {"answered", "abandoned"}:
                wait.left = now
            wait.result = result
            wait.next_group_id = next_group_id
            wait.answered_by_user_id = answered_by_user_id

    def rows(self, call_id: str, purpose: str) -> Iterator[WaitRow]:
        """Yield the rows of the waits, all of which must have ended."""
        for wait in self._waits:
            if wait.left is None or wait.result is None:
                raise RuntimeError(f"a wait of call {call_id} has not ended")
            yield WaitRow(
                call_id=call_id,
                group_id=wait.group_id,
                entered=wait.entered,
                left=wait.left,
                waited_us=wait.left - wait.entered,
                result=wait.result,
                next_group_id=wait.next_group_id,
                answered_by_user_id=wait.answered_by_user_id,
                rings=wait.rings,
                purpose=purpose,
            )

    @property
    def _current(self) -> _Wait | None:
        """The wait that has no result yet."""
        wait = self._waits[-1] if self._waits else None
        return None if wait is None or wait.result is not None else wait

    def _enter(self, group_id: int, now: int) -> None:
        current = self._current
        if current is not None and current.group_id == group_id:
            current.left = None
            return
        self.end("overflowed", now, next_group_id=group_id)
        self._waits.append(_Wait(group_id, now))
