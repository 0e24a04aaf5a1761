"""One view: its present document, and the browsers that follow it."""

from __future__ import annotations

import json
from typing import Any

from attrs import Factory, define

from .document import Document, DocumentBuilder
from .document_diff import difference
from .mailbox import Mailbox
from .view_key import ViewKey


@define(eq=False)
class View:
    """Documents of one view. Each frame is encoded once, and shared by all browsers."""

    key: ViewKey
    """Parameters of the view."""

    builder: DocumentBuilder
    """Builder of its documents."""

    used_at: float
    """Time of the event loop at which the view was last asked for, in seconds."""

    mailboxes: set[Mailbox] = Factory(set)
    """Mailboxes of the browsers that follow the view."""

    _document: Document = Factory(dict)
    _seq: int = 0
    # The document, encoded; ``None``: not asked for yet.
    _encoded: bytes | None = None

    @property
    def seq(self) -> int:
        """Number of the latest frame."""
        return self._seq

    def show(self, document: Document, time: int) -> None:
        """Take a new document, and send the difference to all browsers.

        ``time``: the PBX's time in milliseconds since the epoch.
        """
        if not self._document:
            self._document = document
            return
        changes = difference(self._document, document)
        if changes:
            self._document, self._encoded = document, None
            self._send("update", {"time": time, **changes}, feed=document["feed"])

    def beat(self, time: int) -> None:
        """Send a heartbeat to all browsers."""
        self._send("heartbeat", {"time": time})

    def snapshot(self, time: int) -> bytes:
        """Return the present document as JSON."""
        if self._encoded is None:
            self._encoded = _encode(self._document)
        return b'{"seq":%d,"time":%d,' % (self._seq, time) + self._encoded[1:]

    def follow(self, time: int) -> Mailbox:
        """Return a new mailbox, in which a snapshot is first."""
        mailbox = Mailbox()
        mailbox.put(_frame("snapshot", self._seq, self.snapshot(time)))
        self.mailboxes.add(mailbox)
        return mailbox

    def leave(self, mailbox: Mailbox) -> None:
        """Remove a mailbox."""
        self.mailboxes.discard(mailbox)

    def close(self) -> None:
        """End the streams of all browsers."""
        for mailbox in [*self.mailboxes]:
            mailbox.close()

    def _send(self, event: str, content: dict[str, Any], **more: Any) -> None:
        self._seq += 1
        if self.mailboxes:
            frame = _frame(event, self._seq, _encode({"seq": self._seq, **content, **more}))
            for mailbox in self.mailboxes:
                mailbox.put(frame)


def _encode(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _frame(event: str, seq: int, data: bytes) -> bytes:
    """Return a server-sent event. JSON has no line breaks, so that one line of data suffices."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (seq, event.encode(), data)
