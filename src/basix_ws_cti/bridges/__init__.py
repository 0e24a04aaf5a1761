"""Bridges from a feed to other systems.

- ``webhook``: ``Webhook``, which sends call events to a web server.
- ``webhook_events``, ``signatures``: bodies and headers of the requests.
- ``spool``, ``spool_file``, ``spool_thread``: the events that are not delivered yet;
  ``dead_letters``: those that were refused.
- ``sender``, ``receiver``, ``retries``: the requests, and what follows from their answers.

Webhooks need the extra ``webhook``.
"""

from .dead_letters import DeadLetters
from .retries import RetryPolicy
from .spool import DeadLetter
from .webhook import Webhook, WebhookHealth

__all__ = ["DeadLetter", "DeadLetters", "RetryPolicy", "Webhook", "WebhookHealth"]
