"""Interface of everything that follows a PBX live: ``Client`` and ``fanout.Follower``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from basix_ws_cti.alerts.rule import Alert, AlertRule
from basix_ws_cti.calls.events import CallEvent
from basix_ws_cti.calls.model import Call
from basix_ws_cti.messages import Message, UnknownMessage
from basix_ws_cti.mirror.changes import Added, Change, Changed, Gap, Lagged, Removed
from basix_ws_cti.mirror.mirror import Mirror
from basix_ws_cti.session.status import ClientState, Stats

from .subscriptions import QUEUE_SIZE, Policy, Subscription

R = TypeVar("R")


class Feed(Protocol):
    """Live feed of a PBX. Annotate with it what works with a ``Client`` and with a ``Follower``.

    The members are those of ``Client``, without the commands and the parameters of its creation.
    """

    mirror: Mirror
    """See ``Client``."""

    @property
    def state(self) -> ClientState:
        """See ``Client``."""

    @property
    def is_synced(self) -> bool:
        """See ``Client``."""

    @property
    def resync_pending(self) -> bool:
        """See ``Client``."""

    @property
    def is_settled(self) -> bool:
        """See ``Client``."""

    @property
    def calls(self) -> Mapping[str, Call]:
        """See ``Client``."""

    @property
    def stats(self) -> Stats:
        """See ``Client``."""

    async def synced(self, timeout: float | None = None) -> Mirror:  # noqa: ASYNC109 - seconds, as everywhere
        """See ``Client``."""

    async def wait_for(
        self,
        predicate: Callable[[Mirror], R],
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> R:
        """See ``Client``."""

    def changes(
        self,
        *,
        kind: str | None = None,
        key: int | str | None = None,
        where: Callable[[Change], bool] | None = None,
        policy: Policy = "latest",
        size: int = QUEUE_SIZE,
    ) -> Subscription[Added | Changed | Removed | Gap]:
        """See ``Client``."""

    def messages(
        self, *, policy: Policy = "drop_oldest", size: int = QUEUE_SIZE
    ) -> Subscription[Message]:
        """See ``Client``."""

    def call_events(
        self,
        *,
        where: Callable[[CallEvent], bool] | None = None,
        policy: Policy = "drop_oldest",
        size: int = QUEUE_SIZE,
    ) -> Subscription[CallEvent]:
        """See ``Client``."""

    def follow(
        self, call_id: str, *, policy: Policy = "drop_oldest", size: int = QUEUE_SIZE
    ) -> Subscription[CallEvent]:
        """See ``Client``."""

    def on_change(
        self,
        callback: Callable[[Added | Changed | Removed | Gap | Lagged], object],
        **selection: Any,
    ) -> Callable[[], None]:
        """See ``Client``."""

    def on_call(
        self,
        callback: Callable[[CallEvent], object],
        *,
        where: Callable[[CallEvent], bool] | None = None,
    ) -> Callable[[], None]:
        """See ``Client``."""

    def on_state(self, callback: Callable[[ClientState], object]) -> Callable[[], None]:
        """See ``Client``."""

    def on_error(self, callback: Callable[[Exception], object]) -> Callable[[], None]:
        """See ``Client``."""

    def on_alert(
        self, rule: AlertRule | str, callback: Callable[[Alert], object]
    ) -> Callable[[], None]:
        """See ``Client``."""

    def on_initial_info(
        self, callback: Callable[[str, dict[Any, Any]], object]
    ) -> Callable[[], None]:
        """See ``Client``."""

    def on_info_event(self, callback: Callable[[str, Any, str], object]) -> Callable[[], None]:
        """See ``Client``."""

    def on_system_msg(self, callback: Callable[[str], object]) -> Callable[[], None]:
        """See ``Client``."""

    def on_msg(self, callback: Callable[[str], object]) -> Callable[[], None]:
        """See ``Client``."""

    def on_unknown_message(
        self, callback: Callable[[UnknownMessage], object]
    ) -> Callable[[], None]:
        """See ``Client``."""

    async def __aenter__(self) -> Self:
        """See ``Client``."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """See ``Client``."""
