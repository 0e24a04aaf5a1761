"""Type-checked, never run: what a user's code may rely on."""

from __future__ import annotations

from datetime import datetime
from typing import Any, assert_type

from basix_ws_cti import (
    Basic,
    Channel,
    Connection,
    Element,
    FieldSpec,
    Hangup,
    InfoEvent,
    InitialInfo,
    Message,
    MessageParser,
    Msg,
    SystemMsg,
    Ticket,
    UnknownMessage,
    connect,
    feed_url,
    to_dict,
)


def callbacks() -> None:
    def on_initial_info(element_name: str, elements: dict[int | str, Element]) -> None: ...
    def on_info_event(element_name: str, element: Element, event_name: str) -> None: ...

    parser = MessageParser(on_initial_info=on_initial_info, on_info_event=on_info_event)
    parser.handle_message(b"")
    parser.handle_message(memoryview(b""))
    assert_type(parser.parse(b""), Message)


def every_message_is_matched(message: Message) -> str:
    match message:
        case FieldSpec(name, fields):
            assert_type(fields, tuple[str, ...])
            return name
        case InitialInfo(name, elements):
            assert_type(elements, dict[int | str, Element])
            return name
        case InfoEvent(name, element, event_name):
            assert_type(element, Element)
            return name + event_name
        case SystemMsg(text) | Msg(text):
            return text
        case UnknownMessage(name):
            return name


def an_element(channel: Channel) -> None:
    assert_type(channel.offered_at, datetime | None)
    assert_type(channel.hangup, Hangup | None)
    assert_type(channel.key, int | str | None)
    assert_type(channel.element_name, str)
    assert_type(to_dict(channel), dict[str, Any])
    channel.uuid = ""  # type: ignore[misc]


async def connecting() -> None:
    async def fresh(target: str) -> Ticket:
        return Ticket(target)

    async with connect("host", credentials=fresh, app_name="wallboard") as cti:
        assert_type(cti, Connection)
        async for message in cti:
            assert_type(message, Message)
        await cti.send({"cmd": "hangup", "uuid": "u"})
    connect("host", credentials=Basic("acme", "token"), app_name="wallboard")
    assert_type(feed_url("host", domain="acme", token="t", app_name="a"), str)
