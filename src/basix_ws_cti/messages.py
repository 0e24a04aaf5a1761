"""Messages of the feed: the typed contents of one frame."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from ._internal.display import SetFields, count_of
from .elements import Element


@frozen(repr=False)
class FieldSpec(SetFields):
    """Fields of a kind's records, in their order; valid until the PBX sends new ones."""

    element_name: str
    """Kind of the elements."""
    fields: tuple[str, ...]
    """Names of the fields."""


@frozen(repr=False)
class InitialInfo(SetFields):
    """Snapshot of all elements of one kind."""

    element_name: str
    """Kind of the elements."""
    elements: dict[int | str, Element] = field(repr=count_of("elements"))
    """Elements by key, in the order in which they were sent.

    The key of an element without one is its position, or the next unused number.
    """


@frozen(repr=False)
class InfoEvent(SetFields):
    """Change of one element."""

    element_name: str
    """Kind of the element."""
    element: Element
    """Element after the change, with all its fields."""
    event_name: str
    """``"added"``, ``"updated"`` or ``"removed"``; the PBX may send other names."""


@frozen(repr=False)
class SystemMsg(SetFields):
    """Message from the PBX."""

    text: str
    """Text, such as ``connection_replaced`` or ``logout``."""


@frozen(repr=False)
class Msg(SetFields):
    """Message from a user or an administrator."""

    text: str
    """Text of the message."""


@frozen(repr=False)
class UnknownMessage(SetFields):
    """Message that this version does not know, or a ``system_msg`` or ``msg`` without text."""

    name: str
    """Name of the message."""
    term: tuple[Any, ...]
    """Decoded term, which starts with the name."""


Message = FieldSpec | InitialInfo | InfoEvent | SystemMsg | Msg | UnknownMessage
"""Union of all messages."""
