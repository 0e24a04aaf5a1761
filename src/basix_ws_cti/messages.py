"""What one frame says: the typed messages of the feed."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from .elements import Element


@frozen
class FieldSpec:
    """The names of the positions in the records of one kind, until it is sent again."""

    element_name: str
    fields: tuple[str, ...]


@frozen
class InitialInfo:
    """All elements of one kind as they are now, by key, in the order they were sent.

    An element that was sent without a key has its position for one, or the next free
    number.
    """

    element_name: str
    elements: dict[int | str, Element]


@frozen
class InfoEvent:
    """One element was ``"added"``, ``"updated"`` or ``"removed"``; other names may come."""

    element_name: str
    element: Element
    event_name: str


@frozen
class SystemMsg:
    """A word from the PBX, such as ``connection_replaced`` or ``logout``."""

    text: str


@frozen
class Msg:
    """A message from a user or an administrator."""

    text: str


@frozen
class UnknownMessage:
    """A message this version does not know: its name and the whole decoded term."""

    name: str
    term: tuple[Any, ...]


Message = FieldSpec | InitialInfo | InfoEvent | SystemMsg | Msg | UnknownMessage
"""Any of the messages."""
