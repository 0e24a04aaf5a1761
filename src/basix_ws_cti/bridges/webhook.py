"""Webhook: sends the call events of a feed to a web server, signed, in order per call."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl as tls
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from attrs import frozen

from basix_ws_cti._internal.arguments import (
    check_choice,
    check_instance,
    check_integer,
    check_seconds,
)
from basix_ws_cti._internal.callables import check_function
from basix_ws_cti.alerts.rule import Alert, AlertRule
from basix_ws_cti.calls import CallEvent
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.mirror.changes import Gap, Lagged
from basix_ws_cti.session.status import Synced
from basix_ws_cti.sources.source import Notice, Source
from basix_ws_cti.transport.redaction import NotPicklable, scrub_traceback

from .receiver import Receiver
from .retries import RetryPolicy
from .sender import Sender
from .signatures import Signer
from .spool import Spool
from .spool_file import SpoolFile
from .spool_thread import SpoolThread
from .webhook_events import OutgoingEvent, alert_event, call_event, gap_event

_log = logging.getLogger(__name__)

# Events that may wait for the disk. At this number, the source is not read.
_UNSTORED = 1000

# Seconds between two notes of the time until which all events are known.
_ALIVE_INTERVAL = 10.0

# Seconds between two looks at numbers that others change.
_POLL_INTERVAL = 0.05

_LAST_ALIVE = "last_alive"


@frozen(kw_only=True)
class WebhookHealth:
    """State of a webhook at one moment."""

    delivered: int
    """Events that the receiver has accepted."""

    waiting: int
    """Events in the spool that are not delivered yet."""

    dead_letters: int
    """Events in the spool that the receiver refused permanently."""

    dropped: int
    """Events dropped because too many waited, because they were too old, or because the spool
    could not store them."""

    is_receiver_available: bool
    """False after failures in a row: the receiver gets one request at a time until it answers."""

    problem: str | None
    """Reason of the last failure to deliver; ``None`` if the last attempt succeeded."""

    spool_problem: str | None
    """Reason for which the spool cannot be written at the moment; ``None``: it can."""

    put_aside: Path | None
    """The damaged file of the spool that was renamed at the start; ``None``: there was none."""


class Webhook(NotPicklable):
    """Webhook that sends the events of a feed to one receiver. Works within ``async with``.

    - ``url``: ``https://…``, or ``http://…`` to the loopback interface; without user and password.
    - ``secrets``: texts that start with ``whsec_``, of which each signs each request: one, or two
      while the receiver changes from one to the other.
    - ``spool``: path of the SQLite file with the events that are not delivered yet, created if
      missing. One webhook at a time uses it.
    - ``max_events``: number of events in the spool. If there are more, the oldest ones are dropped.
    - ``max_age``: seconds after which an event that is not delivered is dropped.
    - ``timeout``: seconds for one request, up to the status of the response.
    - ``connections``: requests at a time. Events of one call are sent one after the other.
    - ``retries``: delays between attempts; ``None``: the default ``RetryPolicy``.
    - ``ssl``: an ``ssl.SSLContext`` with a private CA; ``None``: the default context.

    Raises ``UsageError`` for invalid arguments. Entering the block raises ``SpoolError`` if the
    spool cannot be opened. Each event is stored before it is sent, and deleted after a response
    with a status from 200 to 299: it is delivered at least once, with the same id and the same
    bytes each time.
    """

    @scrub_traceback
    def __init__(
        self,
        url: str,
        *,
        secrets: Iterable[str],
        spool: str | Path,
        max_events: int = 100_000,
        max_age: float = 3 * 86_400,
        timeout: float = 15,
        connections: int = 8,
        retries: RetryPolicy | None = None,
        ssl: tls.SSLContext | None = None,
    ) -> None:
        check_instance("spool", spool, (str, Path), "the path of a file")
        check_integer("max_events", max_events)
        check_seconds("max_age", max_age)
        check_seconds("timeout", timeout)
        check_integer("connections", connections, at_most=1000)
        check_instance("retries", retries, RetryPolicy, "a RetryPolicy", optional=True)
        self._receiver = Receiver(url, timeout=timeout, connections=connections, ssl=ssl)
        self._max_events = max_events
        self._file = SpoolFile(
            Path(spool).absolute(),
            lambda path: Spool(path, max_events=max_events, max_age=max_age, checks_health=True),
        )
        self._spool = SpoolThread(self._file)
        self._sender = Sender(
            self._spool,
            self._receiver,
            Signer(secrets),
            retries or RetryPolicy(),
            connections=connections,
        )
        self._sending: asyncio.Task[None] | None = None
        self._is_used = False
        self._source: Source | None = None
        self._restart_is_reported = False
        self._unstored = 0  # events that are not committed yet
        self._lost = 0  # events that could not be stored
        self._dropped_before = 0  # events that earlier webhooks with this spool dropped
        self._last_alive: float | None = None

    def __repr__(self) -> str:
        return f"<Webhook {self.address}>"

    @property
    def address(self) -> str:
        """Scheme, host and port of the receiver, without path and query."""
        return str(self._receiver.address)

    @property
    def spool(self) -> Path:
        """File of the spool."""
        return self._file.path

    @property
    def health(self) -> WebhookHealth:
        """State of the webhook at this moment."""
        counts, sent = self._spool.counts, self._sender.counts
        return WebhookHealth(
            delivered=sent.delivered,
            waiting=counts.waiting,
            dead_letters=counts.dead_letters,
            dropped=counts.dropped - self._dropped_before + self._lost,
            is_receiver_available=self._sender.is_receiver_available,
            problem=sent.problem,
            spool_problem=self._spool.problem,
            put_aside=self._file.put_aside,
        )

    # -- opening and closing -------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._is_used:
            raise UsageError("a webhook can be opened once: create another one")
        self._is_used = True
        try:
            await self._spool.start()
            self._dropped_before = self._spool.counts.dropped
            await self._note_damage()
            await self._receiver.__aenter__()
        except BaseException:
            await self._spool.stop(0)
            raise
        self._sending = asyncio.create_task(self._sender.run())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self, timeout: float = 10) -> None:  # noqa: ASYNC109 - seconds, as everywhere
        """Stop sending, and store what is not stored yet for at most ``timeout`` seconds.

        Events that are not delivered stay in the spool.
        """
        if self._sending is None:
            return
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)
        await self._receiver.__aexit__(None, None, None)
        self._store_alive()
        await self._spool.stop(timeout)

    # -- events --------------------------------------------------------------------------

    async def run(
        self,
        source: Source,
        *,
        where: Callable[[CallEvent], bool] | None = None,
        alerts: Iterable[AlertRule | str] = (),
        when_full: Literal["drop", "wait"] = "drop",
    ) -> None:
        """Store the events of a source until its feed ends; they are sent meanwhile.

        Pass the source's notices to ``on_notice``, so that gaps in the feed are sent too.

        - ``where``: function that returns True for the call events to send; ``None``: all of them.
        - ``alerts``: rules of which each alert is sent when it begins and when it ends, as
          ``AlertRule`` or text.
        - ``when_full``: ``"wait"`` reads no further while the spool is full, instead of dropping
          the oldest events. For recordings; a live feed would lose events instead.

        Raises the error that ended the feed, and ``SpoolError`` if the spool gets damaged.
        """
        check_function("where", where, "event", optional=True)
        rules = [one if isinstance(one, AlertRule) else AlertRule.parse(one) for one in alerts]
        check_choice("when_full", when_full, ("drop", "wait"))
        if self._sending is None:
            raise UsageError("the webhook is not open: use `async with Webhook(...) as webhook:`")
        self._source = source
        if isinstance(source.state, Synced):
            self._report_restart(source.now())

        def on_alert(alert: Alert) -> None:
            self._store(alert_event(alert, source.now()))

        unregister = [source.on_alert(rule, on_alert) for rule in rules]
        reading = asyncio.create_task(self._read(source, where, waits=when_full == "wait"))
        alive = asyncio.create_task(self._note_alive(source))
        tasks = {reading, alive, self._sending}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for function in unregister:
                function()
            for task in (reading, alive):
                task.cancel()
            await asyncio.gather(reading, alive, return_exceptions=True)
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def on_notice(self, notice: Notice) -> None:
        """Send a gap in the feed; ignore all other notices. For a source's ``on_notice``."""
        match notice:
            case Gap(started, ended, _):
                self._store(gap_event("disconnected", ended, started=started))
            case Synced() if self._source is not None:
                self._report_restart(self._source.now())

    async def drained(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109
        """Wait until every event is delivered, refused or dropped.

        Returns False if the time-out passed before.
        """
        try:
            async with asyncio.timeout(timeout):
                while self._unstored or self._spool.counts.waiting:
                    if self._sending is None or self._sending.done():
                        return False
                    await asyncio.sleep(_POLL_INTERVAL)
        except TimeoutError:
            return False
        return True

    async def _read(
        self, source: Source, where: Callable[[CallEvent], bool] | None, *, waits: bool
    ) -> None:
        last = source.now()
        async for at, event in source.call_events():
            self._report_restart(at)
            await self._wait_for_room(waits=waits)
            if isinstance(event, Lagged):
                self._store(gap_event("lagged", at, started=last, missed=event.missed))
            elif where is None or where(event):
                self._store(call_event(event, at))
            last = at
            self._last_alive = at.timestamp()

    async def _wait_for_room(self, *, waits: bool) -> None:
        while self._unstored >= _UNSTORED or (waits and self._is_full):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_INTERVAL)

    @property
    def _is_full(self) -> bool:
        return self._spool.counts.waiting + self._unstored >= self._max_events

    def _store(self, event: OutgoingEvent) -> None:
        """Store an event, in the thread of the spool; it is sent once it is stored."""
        loop = asyncio.get_running_loop()
        self._unstored += 1

        def add(spool: Spool) -> int:
            return spool.add([event])

        def finish(result: Future[int]) -> None:
            with contextlib.suppress(RuntimeError):  # the event loop has ended
                loop.call_soon_threadsafe(self._note_stored, result)

        self._spool.add(add).add_done_callback(finish)

    def _note_stored(self, result: Future[int]) -> None:
        self._unstored -= 1
        if result.exception() is not None:
            self._lost += 1
        elif dropped := result.result():
            _log.warning("%d event(s) dropped: the spool is full", dropped)
        self._sender.wake()

    # -- gaps ----------------------------------------------------------------------------

    def _report_restart(self, at: datetime) -> None:
        """Send a gap from the last sign of life of the previous webhook to now, once."""
        if self._restart_is_reported:
            return
        self._restart_is_reported = True

        def add(spool: Spool) -> int:
            last = spool.fact(_LAST_ALIVE, None)
            if last is None or last >= at.timestamp():  # new, or another feed, such as a recording
                return 0
            started = datetime.fromtimestamp(last, UTC)
            return spool.add([gap_event("restart", at, started=started)])

        self._spool.add(add).add_done_callback(lambda _result: None)

    async def _note_damage(self) -> None:
        """Report a spool that was damaged, whose events are unknown."""
        if self._file.put_aside is None:
            return
        _log.warning("spool %s was damaged: it is %s now", self.spool, self._file.put_aside)
        now = datetime.now(UTC)
        event = gap_event("damaged", now, started=None)
        await self._spool.call(lambda spool: spool.add([event]))

    async def _note_alive(self, source: Source) -> None:
        """Note at intervals the time until which all events are known."""
        while True:
            await asyncio.sleep(_ALIVE_INTERVAL)
            if isinstance(source.state, Synced):
                self._last_alive = source.now().timestamp()
            self._store_alive()

    def _store_alive(self) -> None:
        last = self._last_alive
        if last is not None:
            self._spool.add(lambda spool: spool.set_fact(_LAST_ALIVE, last))
