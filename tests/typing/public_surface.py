"""Uses of every public name, for type checkers; this module never runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, assert_never, assert_type

from basix_ws_cti import (
    Added,
    AgentFigures,
    Alert,
    AlertRule,
    AuthenticationError,
    Backoff,
    Band,
    Basic,
    BasixError,
    Call,
    CallAnswered,
    CallEnded,
    CallEvent,
    CallLogError,
    CallParked,
    CallRecord,
    CallRetrieved,
    CallRinging,
    CallStarted,
    CallTracker,
    CallTransferred,
    CallUpdated,
    CertificateError,
    Change,
    Changed,
    Channel,
    ClickToCall,
    ClickToCallError,
    Client,
    ClientClosed,
    ClientState,
    CommandRefused,
    CommandTimeout,
    ConnectFailed,
    Connecting,
    Connection,
    ConnectionLimitReached,
    ConnectionLost,
    ConnectionReplaced,
    DecodeError,
    Disconnected,
    Domain,
    EavesdropError,
    Element,
    EndUser,
    EndUsers,
    Feed,
    FeedError,
    FieldSpec,
    Gap,
    Group,
    GroupMember,
    HandshakeError,
    Hangup,
    HttpApi,
    HttpApiAuthenticationError,
    HttpApiError,
    InfoEvent,
    InitialInfo,
    Interval,
    Lagged,
    Leg,
    LoggedOut,
    LoginTime,
    Message,
    MessageParser,
    Mirror,
    Msg,
    NotConnectedError,
    OtherElement,
    OtherInfo,
    ParkedChannel,
    Participation,
    Party,
    Phase,
    ProtocolError,
    ProxyError,
    QueuedChannel,
    QueueFigures,
    QueueStats,
    QueueWait,
    RecordingError,
    RedisFeedError,
    Removed,
    ResyncRequired,
    Session,
    SpoolError,
    Stats,
    Stopped,
    SubscriberLagged,
    Subscription,
    Synced,
    Syncing,
    SyncTimeout,
    SystemMsg,
    Target,
    Terminal,
    Thresholds,
    Ticket,
    UnknownMessage,
    UsageError,
    User,
    WaitingChannel,
    WaitTimeout,
    compiled,
    connect,
    feed_url,
    occupancy,
    rows_in_period,
    to_dict,
)
from basix_ws_cti.calls import Transfer
from basix_ws_cti.mirror.phone_numbers import normalise_number, same_number
from basix_ws_cti.states import Calling, OtherState, Park, State
from basix_ws_cti.terms import Limits, Regex, as_text, decode


def parsing() -> None:
    def on_initial_info(element_name: str, elements: dict[int | str, Element]) -> None: ...
    def on_info_event(element_name: str, element: Element, event_name: str) -> None: ...
    def on_text(text: str) -> None: ...

    parser = MessageParser(
        on_initial_info=on_initial_info,
        on_info_event=on_info_event,
        on_system_msg=on_text,
        on_msg=on_text,
        base_url="https://xyz.com",
        limits=Limits(depth=5),
    )
    parser.handle_message(b"")
    parser.handle_message(memoryview(b""))
    assert_type(parser.parse(b""), Message)
    MessageParser(object())
    MessageParser(on_msg=on_info_event)  # type: ignore[arg-type]


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
        case UnknownMessage(name, term):
            assert_type(term, tuple[Any, ...])
            return name


def elements(channel: Channel, waiting: WaitingChannel) -> None:
    assert_type(channel.offered_at, datetime | None)
    assert_type(channel.hangup, Hangup | None)
    assert_type(channel.key, int | str | None)
    assert_type(channel.element_name, str)
    assert_type(waiting.whoscall, str | None)
    assert_type(to_dict(channel), dict[str, Any])
    channel.uuid = ""  # type: ignore[misc]
    Channel(uuid=1)  # type: ignore[arg-type]


def parts_of_a_channel(channel: Channel) -> None:
    match channel.target:
        case Target(type="user", id=user_id):
            assert_type(user_id, int | None)
        case _:
            pass
    match channel.end_user:
        case EndUsers(count=count, items=items):
            assert_type(count, int)
            assert_type(items, tuple[EndUser, ...])
        case _:
            pass
    match channel.other_info:
        case OtherInfo() as other:
            assert_type(other.offered_at, datetime | None)
        case _:
            pass


def states(state: State) -> int | str | None:
    match state:
        case Calling(target_type="group", group_id=group_id):
            return group_id
        case Park(slot=slot, parker_name=name):
            return slot or name
        case OtherState(name=name, data=data):
            assert_type(data, tuple[Any, ...])
            return name
        case _:
            assert_type(state.since, datetime | None)
            return state.name


def driving_a_session(message: Message) -> None:
    session = Session(quiet_time=0.5, country_code="81")
    assert_type(session.mirror, Mirror)
    assert_type(session.connected(), list[Syncing])
    for _ in session.receive(message, 1.5):
        pass
    for _ in session.idle(2):
        pass
    assert_type(session.lost(ConnectionLost(1006), 3.0, last_heard=2.5), list[Disconnected])
    assert_type(session.calls, Mapping[str, Call])
    assert_type(session.quiet_at, float)


def mirror_queries(mirror: Mirror, message: Message) -> None:
    assert_type(mirror.channels, Mapping[str, Channel])
    assert_type(mirror.waiting_channels, Mapping[str, WaitingChannel])
    assert_type(mirror.queued_channels, Mapping[str, QueuedChannel])
    assert_type(mirror.parked_channels, Mapping[str, ParkedChannel])
    assert_type(mirror.users, Mapping[int, User])
    assert_type(mirror.groups, Mapping[int, Group])
    assert_type(mirror.group_members, Mapping[int | str, GroupMember])
    assert_type(mirror.terminals, Mapping[int, Terminal])
    assert_type(mirror.domain, Domain | None)
    assert_type(mirror["anything"], Mapping[int | str, Element])
    assert_type(mirror.channels_by_number("0312341234"), list[Channel])
    assert_type(mirror.channels_of_user(1), list[Channel])
    assert_type(mirror.channels_of_group(1), list[Channel])
    assert_type(mirror.members_of_group(1), list[User])
    assert_type(mirror.groups_of_user(1), list[Group])
    assert_type(mirror.terminals_of_user(1), list[Terminal])
    assert_type(mirror.user_by_extension("1001"), User | None)
    for change in mirror.apply(message):
        assert_type(change, Change)
    mirror.channels["u"] = Channel()  # type: ignore[index]


def every_change_is_matched(change: Change) -> Element:
    match change:
        case Added(_, element):
            return element
        case Changed(_, element, old):
            assert_type(change.fields, dict[str, tuple[Any, Any]])
            return old if element.key is None else element
        case Removed(_, element):
            return element


async def connecting(limits: Limits) -> None:
    async def fresh(target: str) -> Ticket:
        return Ticket(target)

    async with connect("host", credentials=fresh, app_name="wallboard", limits=limits) as cti:
        assert_type(cti, Connection)
        async for message in cti:
            assert_type(message, Message)
        assert_type(cti.receive_nowait(), Message | None)
        await cti.send({"cmd": "hangup", "uuid": "u"})
        await cti.ping()
        await cti.close()
    connect("host", credentials=Basic("acme", "token"), app_name="wallboard")
    connect("host", domain="acme", token="t")  # type: ignore[call-arg]
    assert_type(feed_url("host", domain="acme", token="t", app_name="a"), str)


async def calling_through_the_http_api() -> None:
    async with HttpApi("host", domain="acme", token="t", timeout=5) as api:
        assert_type(api, HttpApi)
        assert_type(await api.ticket("/basix/api/ws_cti?app_name=a"), Ticket)
        assert_type(await api.call_user("1002", user_id=1), tuple[str, ...])
        assert_type(await api.call_group({"called_number": "1"}, group_did="2"), tuple[str, ...])
        connect("host", credentials=api.ticket, app_name="a")
        Client("host", credentials=api.ticket, app_name="a")
        try:
            await api.call_user("1002")
        except HttpApiAuthenticationError as error:
            assert_type(error.error_id, str | None)
        except HttpApiError as error:
            assert_type(error.result_code, int | None)
    HttpApi("host", credentials=Basic("acme", "t"))
    HttpApi("host", credentials=Ticket("t"))  # type: ignore[arg-type]


async def staying_connected() -> None:
    backoff = Backoff(initial=0.5, maximum=30)
    client = Client("host", domain="acme", token="t", app_name="a", backoff=backoff)
    async with client as entered:
        assert_type(entered, Client)
        assert_type(await client.synced(timeout=30), Mirror)
        assert_type(client.mirror, Mirror)
        assert_type(client.is_synced, bool)
        assert_type(client.is_settled, bool)
        assert_type(client.state, ClientState)
        await client.hangup("u", confirm=True, confirm_timeout=5)
        await client.park("u", 60, confirm=True)
        await client.transfer("u", "1002", user_id=1, user_name="n")
        await client.transfer("u", user_id=1)  # type: ignore[call-arg]
        await client.eavesdrop_with_plug("plug", "u", "listen")
        async with HttpApi("host", domain="acme", token="t") as api:
            assert_type(await client.eavesdrop("u", api=api, user_id=1, confirm=True), str)
            await client.eavesdrop("u", user_id=1)  # type: ignore[call-arg]
            await client.eavesdrop("u", api=client, user_id=1)  # type: ignore[arg-type]
            await clicking_to_call(client, api)
        await client.park("u", "60")  # type: ignore[arg-type]
    Client("host", app_name="a", no_such_option=1)  # type: ignore[call-arg]
    Client("host", app_name=1)  # type: ignore[arg-type]


async def any_feed(feed: Feed) -> None:
    assert_type(await feed.synced(timeout=30), Mirror)
    assert_type(feed.mirror, Mirror)
    assert_type(feed.state, ClientState)
    assert_type(feed.is_synced, bool)
    assert_type(feed.is_settled, bool)


async def a_client_is_a_feed(client: Client) -> None:
    await any_feed(client)


async def clicking_to_call(client: Client, api: HttpApi) -> None:
    with await client.call_user(api, "1002", user_extension="1001", auto_answer=True) as call:
        assert_type(call, ClickToCall)
        assert_type(call.uuids, tuple[str, ...])
        assert_type(call.call, Call | None)
        assert_type(await call.answered(timeout=30), Call)
        assert_type(await call.ended(), Call)
        async for event in call:
            assert_type(event, CallEvent | Lagged)
    await client.call_user(api, destination={"called_number": "1"}, user_id=1)
    await client.call_user(api, "1002", user_id=1, no_such_option=1)  # type: ignore[call-arg]
    await client.call_user(api, "1002", user_id=1, auto_answer="no")  # type: ignore[arg-type]
    await client.call_user(client, "1002", user_id=1)  # type: ignore[arg-type]


async def waiting_for_conditions(client: Client) -> None:
    def find_user(mirror: Mirror) -> User | None:
        return mirror.user_by_extension("1001")

    def count_channels(mirror: Mirror) -> int:
        return len(mirror.channels)

    assert_type(await client.wait_for(find_user), User | None)
    assert_type(await client.wait_for(count_channels, timeout=5), int)
    assert_type(await client.wait_for(lambda mirror: mirror.channels_of_user(1)), list[Channel])


async def subscribers(client: Client) -> None:
    def wanted(change: Change) -> bool:
        return not isinstance(change, Removed)

    changes = client.changes(kind="channel", key="u", where=wanted, policy="latest", size=10)
    assert_type(changes, Subscription[Added | Changed | Removed | Gap])
    assert_type(changes.waiting, int)
    with changes:
        async for item in changes:
            match item:
                case Added() | Changed() | Removed():
                    assert_type(item.key, int | str | None)
                case Gap(started, ended, reason):
                    assert_type((started, ended), tuple[datetime, datetime])
                    assert_type(reason, Exception | None)
                case Lagged(missed):
                    assert_type(missed, int)
                case _:
                    assert_never(item)
    async for message in client.messages(policy="fail"):
        if not isinstance(message, Lagged):
            assert_type(message, Message)
    client.changes(policy="newest")  # type: ignore[arg-type]


def callbacks(client: Client) -> None:
    def on_change(change: Added | Changed | Removed | Gap | Lagged) -> None: ...
    async def on_change_too(change: Added | Changed | Removed | Gap | Lagged) -> None: ...
    def on_state(state: ClientState) -> None: ...
    def on_alert(alert: Alert) -> None: ...
    def on_error(error: Exception) -> None: ...
    def on_initial_info(element_name: str, elements: dict[int | str, Element]) -> None: ...
    def on_info_event(element_name: str, element: Element, event_name: str) -> None: ...
    async def on_text(text: str) -> None: ...

    assert_type(client.on_change(on_change, kind="user"), Callable[[], None])
    client.on_change(on_change_too)
    client.on_state(on_state)
    client.on_error(on_error)
    client.on_initial_info(on_initial_info)
    client.on_info_event(on_info_event)
    client.on_system_msg(on_text)
    client.on_msg(on_text)
    client.on_state(on_error)  # type: ignore[arg-type]
    assert_type(client.on_alert(AlertRule("waiting", 5, queue=3), on_alert), Callable[[], None])
    client.on_alert("longest-wait>60@sales", on_alert)
    client.on_alert("waiting>5", on_error)  # type: ignore[arg-type]


def every_state_is_matched(state: ClientState) -> str:
    match state:
        case Connecting(attempt):
            return str(attempt)
        case Disconnected(reason, retry_in):
            assert_type(retry_in, float | None)
            return str(reason)
        case Stopped(reason):
            assert_type(reason, Exception | None)
            return ""
        case Syncing() | Synced():
            return type(state).__name__


def figures(stats: Stats) -> None:
    assert_type(stats.messages, dict[str, int])
    assert_type(stats.frames + stats.bytes + stats.connects + stats.reconnects, int)
    assert_type(stats.gaps + stats.bad_frames + stats.missed + stats.lag, int)
    assert_type(stats.last_frame_age, float | None)


def errors(error: BasixError) -> object:
    match error:
        case DecodeError():
            return error.offset, error.reason, error.inflated
        case ProtocolError():
            return error.problem, error.element_name, error.field
        case CallLogError() | SpoolError():
            return error.name, error.problem
        case RecordingError():
            return error.name, error.line, error.problem
        case UsageError():
            value: ValueError = error
            return value
        case FeedError():
            return errors_of_the_feed(error)
        case _:
            return error


def errors_of_the_feed(error: FeedError) -> object:  # noqa: C901, PLR0912 - one case per class
    match error:
        case RedisFeedError():
            return error.server, error.cause, error.problem
        case AuthenticationError() | HandshakeError():
            assert_type(error.retry_after, str | None)
            return error.status
        case ProxyError():
            assert_type(error.retry_after, str | None)
            return error.status
        case CertificateError() | ConnectFailed() | EavesdropError() | ClickToCallError():
            return error.reason
        case ConnectionLost():
            return error.code, error.reason
        case SyncTimeout():
            return error.seconds
        case CommandRefused():
            return error.command, error.cause, error.problem
        case CommandTimeout():
            return error.command, error.seconds
        case WaitTimeout():
            return error.what, error.seconds
        case SubscriberLagged():
            return error.size
        case ResyncRequired():
            assert_type(error.problem, BasixError)
            return error.problem
        case ConnectionLimitReached() | ConnectionReplaced() | LoggedOut():
            return error.args
        case NotConnectedError() | ClientClosed():
            return error.args
        case _:
            return error


def build_information() -> None:
    assert_type(compiled, bool)


def unknown_kinds() -> str | None:
    other = OtherElement(element_name="lamp")
    assert_type(other.element_name, str)
    assert_type(decode(b"\x83a\x01", Limits(depth=1)), Any)
    assert_type(Regex("a", []).source, Any)
    assert_type(same_number("1", "2"), bool)
    return as_text(decode(b"\x83j")) or normalise_number("1")


def every_call_event_is_matched(event: CallEvent) -> Party | None:
    assert_type(event.call, Call)
    match event:
        case CallStarted(call) | CallUpdated(call):
            return call.caller
        case CallRinging(_, party):
            return party
        case CallAnswered(_, party, waited):
            assert_type(waited, int)
            return party
        case CallParked(_, slot, by):
            assert_type(slot, str | int | None)
            assert_type(by, int | None)
            return None
        case CallRetrieved(_, party, parked_for):
            assert_type(parked_for, int)
            return party
        case CallTransferred(_, source, target):
            return source if target.user_id is None else target
        case CallEnded(call, synthetic):
            assert_type(synthetic, bool)
            return call.answered_by
        case _:
            assert_never(event)


def call_attributes(call: Call) -> None:
    assert_type(call.phases, tuple[Phase, ...])
    assert_type(call.legs, tuple[Leg, ...])
    assert_type(call.phase.party, Party)
    assert_type(call.started_at, datetime | None)
    assert_type(call.time_in("talking", "parked"), int)
    assert_type(call.legs[0].talks, tuple[Interval, ...])
    assert_type(call.transfer_history, tuple[Transfer, ...])
    assert_type(call.transfer_history[0].target, Party)
    assert_type(CallRecord.of(call).to_dict(), dict[str, Any])
    call.id = ""  # type: ignore[misc]


def rows_of_a_call(call: Call) -> None:
    for wait in QueueWait.of(call):
        assert_type(wait.waited_us, int | None)
        assert_type(wait.to_dict(), dict[str, Any])
        match wait.result:
            case "answered" | "abandoned" | "overflowed" | "voicemail" | "ended" | "unknown":
                pass
            case None:
                pass
            case _:
                assert_never(wait.result)
        assert_type(wait.entered_by_transfer, bool)
    participations = Participation.of(call)
    assert_type(participations, tuple[Participation, ...])
    assert_type(participations[0].user_id, int | None)
    assert_type(participations[0].transfers_out, int)
    assert_type(participations[0].to_dict(), dict[str, Any])


def figures_of_rows(waits: list[QueueWait], participations: list[Participation]) -> None:
    period = rows_in_period(waits, 0, None, by="end")
    assert_type(period, Iterator[QueueWait])
    thresholds = Thresholds(service_level=20, bands=[10, 20])
    figures = QueueFigures.of(period, participations, group_id=1, thresholds=thresholds, wrap_up=5)
    assert_type(figures.bands, tuple[Band, ...])
    assert_type(QueueFigures.by_group(waits), dict[int, QueueFigures])
    assert_type(AgentFigures.by_agent(participations), dict[int, AgentFigures])
    pairs = AgentFigures.by_agent_and_group(rows_in_period(participations, None, 0))
    assert_type(pairs, dict[tuple[int, int | None], AgentFigures])


def is_logged_in(element: User | GroupMember) -> bool | None:
    return element.login_status == 1 if isinstance(element, GroupMember) else None


async def calls(client: Client, mirror: Mirror, message: Message) -> None:
    assert_type(client.calls, Mapping[str, Call])
    async for event in client.call_events():
        if not isinstance(event, Lagged):
            every_call_event_is_matched(event)
    with client.follow("u", policy="fail", size=10) as followed:
        async for event in followed:
            assert_type(event, CallEvent | Lagged)
    client.call_events(where=lambda event: event.call.direction == "inbound")
    client.call_events(where=lambda event: event.no_such_field)  # type: ignore[union-attr]
    tracker, stats = CallTracker(mirror.channels.values()), QueueStats(window=60)
    events = tracker.apply(mirror.apply(message))
    assert_type(events, list[CallEvent])
    stats.apply(events)
    assert_type(stats.group(1, now=0), QueueFigures)
    assert_type(stats.user(1, now=0), AgentFigures)
    stats.restart(client.calls.values())
    logins = LoginTime(is_logged_in, window=3600)
    logins.restart([*client.mirror.users.values(), *client.mirror.group_members.values()], now=0)
    async for change in client.changes(where=lambda change: change.element_name == "user"):
        if not isinstance(change, Lagged):
            logins.apply([change], now=0)
    login_us = logins.login_us(1, since=0, until=1)
    assert_type(login_us, int)
    assert_type(logins.unknown_us(1, since=0, until=1), int)
    assert_type(occupancy(stats.user(1, now=0), login_us), float | None)

    async def on_call(event: CallEvent | Lagged) -> None: ...

    client.on_call(on_call, where=lambda event: event.call.complete)()
