"""Sends the events of the spool, several at a time, but those of one topic in order.

Invariants:

- Only heads of topics are sent, and a head stays one until it is delivered, refused or dropped.
  So the next event of a call waits for the previous one, and other calls do not.
- The topic of an event that is being sent is in ``_in_flight`` until the result is committed: no
  event of this topic is sent meanwhile. This also holds if the spool drops the event, so that the
  next one of its topic becomes the head.
- An event is deleted after the answer. If the process dies in between, the event is sent again by
  the next one, with the same id and the same bytes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from attrs import define

from .receiver import Answer, Receiver
from .retries import Breaker, RetryPolicy, describe_failure, is_delivered, is_refused
from .signatures import Signer
from .spool import Spool, StoredEvent
from .spool_thread import SpoolThread
from .webhook_events import gap_event

_log = logging.getLogger(__name__)

# Seconds after which the spool is looked at although no event has arrived: a command may have
# moved a dead letter back.
_POLL_INTERVAL = 5.0

# Seconds for which the end of the sender waits for answers. Without the answer to it, an event is
# sent again after the next start.
_GRACE = 2.0

# Part of the spool that must be free before the receiver gets the number of events dropped:
# otherwise each delivery could make room for one more such report.
_FREE_FOR_REPORT = 0.1

# Seconds between two runs of the maintenance.
_MAINTENANCE_INTERVAL = 60.0


@define
class SendCounts:
    """Results of a sender since it was created.

    ``problem`` is the reason of the last failure; ``None`` after a delivery.
    """

    delivered: int = 0
    problem: str | None = None


class Sender:
    """Sends the events of a spool to a receiver, until it is cancelled.

    - ``spool``, ``receiver``: both open.
    - ``connections``: events that are sent at a time.
    """

    def __init__(
        self,
        spool: SpoolThread,
        receiver: Receiver,
        signer: Signer,
        policy: RetryPolicy,
        *,
        connections: int,
    ) -> None:
        self.counts: SendCounts = SendCounts()
        self._spool = spool
        self._receiver = receiver
        self._signer = signer
        self._policy = policy
        self._breaker = Breaker(policy)
        self._connections = connections
        self._in_flight: dict[str, asyncio.Task[None]] = {}  # by topic
        self._woken = asyncio.Event()
        self._maintain_at = 0.0  # on the monotonic clock

    @property
    def is_receiver_available(self) -> bool:
        """False while the receiver gets one request at a time, after failures in a row."""
        return self._breaker.is_closed

    def wake(self) -> None:
        """Look at the spool now: it has new events."""
        self._woken.set()

    async def run(self) -> None:
        """Send events until cancelled. Raises ``SpoolError`` if the spool cannot be used."""
        try:
            while True:
                self._woken.clear()
                wait = await self._start_due()
                try:
                    async with asyncio.timeout(min(wait, _POLL_INTERVAL)):
                        await self._woken.wait()
                except TimeoutError:
                    pass
        finally:
            await self._end_attempts()

    async def _end_attempts(self) -> None:
        """Wait a moment for the answers to what was sent, and give up the rest."""
        if tasks := [*self._in_flight.values()]:
            await asyncio.wait(tasks, timeout=_GRACE)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _start_due(self) -> float:
        """Start to send what is due; return the seconds until the next look at the spool."""
        if time.monotonic() >= self._maintain_at:
            self._maintain_at = time.monotonic() + _MAINTENANCE_INTERVAL
            if count := await self._spool.call(self._maintain):
                _log.warning("%d event(s) dropped: too old", count)
        room = self._breaker.room(time.monotonic(), len(self._in_flight), self._connections)
        if not room:
            return self._breaker.wait(time.monotonic()) or _POLL_INTERVAL
        busy = {*self._in_flight}
        found = await self._spool.call(lambda spool: spool.next_due(room + 1, busy))
        due = [event for event in found if event.due <= time.time()]
        for event in due[:room]:
            task = asyncio.create_task(self._send(event))
            self._in_flight[event.topic] = task
            task.add_done_callback(_mark_seen)
        later = [event.due for event in found if event not in due]
        return max(0.0, min(later) - time.time()) if later else _POLL_INTERVAL

    def _maintain(self, spool: Spool) -> int:
        spool.limit_delays(max(self._policy.longest_delay, self._policy.longest_retry_after))
        return spool.expire()

    async def _send(self, event: StoredEvent) -> None:
        """Make one attempt, and commit its result."""
        try:
            headers = self._signer.headers(event.id, int(time.time()), event.body)
            answer = await self._receiver.post(event.body, headers)
            await self._spool.call(self._result_of(event, answer))
        finally:
            del self._in_flight[event.topic]
            self.wake()

    def _result_of(self, event: StoredEvent, answer: Answer) -> Callable[[Spool], object]:
        """Note the result of an attempt; return the operation that stores it."""
        if is_delivered(answer):
            self._breaker.succeeded()
            self.counts.delivered += 1
            self.counts.problem = None
            return lambda spool: _delete_delivered(spool, event.seq)
        reason = describe_failure(answer)
        self.counts.problem = reason
        if is_refused(answer):
            self._breaker.succeeded()
            _log.warning("event %s (%s) refused: %s", event.id, event.type, reason)
            return lambda spool: spool.bury(event.seq, reason)
        due = time.time() + self._delay(event, answer)
        _log.info("event %s (%s) not delivered: %s", event.id, event.type, reason)
        return lambda spool: spool.postpone(event.seq, due)

    def _delay(self, event: StoredEvent, answer: Answer) -> float:
        """Return the seconds before the next attempt to send an event that was not delivered."""
        now = time.monotonic()
        was_closed = self._breaker.is_closed
        demanded = self._policy.demanded_delay(answer, time.time())
        self._breaker.failed(now, demanded)
        if was_closed and not self._breaker.is_closed:
            _log.warning("%r is unavailable: %s", self._receiver, self.counts.problem)
        delay = self._policy.delay(event.attempts + 1)
        if not self._breaker.is_closed:
            # The failure is the receiver's, not the event's: it goes first after the pause.
            delay = min(delay, self._breaker.wait(now))
        return max(demanded, delay)


def _delete_delivered(spool: Spool, seq: int) -> None:
    """Delete an event, and report dropped events to the receiver, which is available again."""
    if not spool.delete(seq):
        spool.uncount_dropped()
    missed = spool.fact("unreported", 0)
    if not missed or spool.fill_level > 1 - _FREE_FOR_REPORT:
        return
    now = datetime.now(UTC)
    since = datetime.fromtimestamp(spool.fact("unreported_since", time.time()), UTC)
    spool.add([gap_event("dropped", now, started=since, missed=missed)])
    spool.set_fact("unreported", None)
    spool.set_fact("unreported_since", None)


def _mark_seen(task: asyncio.Task[None]) -> None:
    """Retrieve a task's error, which is the spool's: ``run`` raises it, too."""
    if not task.cancelled():
        task.exception()
