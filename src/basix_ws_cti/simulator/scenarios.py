"""Scenarios for the simulated PBX: typical calls, from the first ring to the last hangup.

A scenario is a generator. It picks available users at random, operates on the PBX, and yields
the number of seconds until its next step; ``timeline`` runs it. If nobody is available it
raises ``NotPossibleError``. ``day`` starts scenarios for ever, mixed as in a call centre.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from .company import DID
from .errors import NotPossibleError
from .model import SECOND, Channel, Group, GroupMember, Person, Terminal, User

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from .pbx import Pbx
    from .timeline import Timeline

    Scenario = Iterator[float]
    ScenarioFunction = Callable[[Pbx], Scenario]

_MAX_CALL_DURATION = 6 * 60 * 60  # seconds; the production server's limit is about six hours

STAFF = ("佐藤 健", "鈴木 花子", "高橋 一郎", "Maria Silva", "田中 美咲")
_SURNAMES = ("小林", "加藤", "吉田", "山本", "中村", "松本", "井上", "木村", "林", "清水")
_NAMES = ("翔太", "美穂", "大輔", "由美", "直樹", "陽子", "誠", "恵子", "Ana", "Ken")
_GROUPS = ("サポート", "営業部", "経理", "Export", "コールセンター")

_YAMADA = Person("0312341234", "12345", "山田 太郎", "株式会社山田商店", "", "東京都")
CALLERS = (
    _YAMADA,
    Person("09011112222", "12346", "伊藤 さくら", "", "sakura.png", "大阪府"),
    Person("0667890123", "12347", "Kenji Watanabe", "Acme & Sons", "", "Osaka"),
    Person("08033334444"),
    Person("0452223333", "12348", "渡辺 直子", "渡辺クリニック", "", "神奈川県"),
    Person(
        "0521110000",
        "12350",
        "中島 実",
        "中島工業*本社",
        "https://crm.example.com/50.png",
        "愛知県",
        other_matches=(Person("0521110000", "12351", "中島 恵", "中島工業|総務"),),
        unlisted_matches=2,
    ),
    Person("05031234567", whoscall=quote('{"name":"宅配サービス","spam":false}')),
    Person("anonymous"),
)


def populate(pbx: Pbx, users: int = len(STAFF)) -> None:
    """Add users with phones, in groups of ten; every fourth group is a hunt group."""
    labels = [*STAFF, *(f"{s} {n}" for s in _SURNAMES for n in _NAMES)]
    group = None
    for number in range(users):
        if group is None or number % 10 == 0:
            index = number // 10
            label = _GROUPS[index % len(_GROUPS)]
            group = pbx.create_group(
                label if index < len(_GROUPS) else f"{label} {index}", hunt=index % 4 == 3
            )
        label = labels[number % len(labels)]
        pbx.add_member(pbx.add_user(label if number < len(labels) else f"{label} {number}"), group)


# -- calls from outside ---------------------------------------------------------------


def inbound_call(pbx: Pbx) -> Scenario:
    """Menu, ring group, one member answers; half of the calls are parked and retrieved."""
    lead = yield from _menu(pbx)
    leg = yield from _queue(pbx, lead, _random_group(pbx))
    if leg is None:
        return
    yield pbx.random.uniform(4, 9)
    if pbx.random.random() < 0.5:
        leg = yield from _park_and_retrieve(pbx, lead)
        yield pbx.random.uniform(3, 8)
    pbx.hang_up(lead)


def hunt(pbx: Pbx) -> Scenario:
    """The phones of a hunt group ring one after another, until a member answers."""
    lead = yield from _menu(pbx)
    group = _random_group(pbx, hunt=True)
    ringing = pbx.call_group(lead, group)
    tried = set()
    while ringing:
        yield pbx.random.uniform(2, 6)
        if pbx.random.random() < 0.5:
            pbx.connect(ringing[0])
            yield pbx.random.uniform(5, 60)
            break
        pbx.stop_ringing(ringing[0])
        tried.add(ringing[0].address)
        untried = [
            u
            for u in pbx.available(pbx.members_of(group))
            if tried.isdisjoint(phone.name for phone in pbx.terminals_of(u))
        ]
        ringing = [pbx.ring(lead, user) for user in untried[:1]]
    pbx.hang_up(lead)


def abandoned(pbx: Pbx) -> Scenario:
    """The caller abandons the call in the queue."""
    lead = yield from _menu(pbx)
    pbx.call_group(lead, _random_group(pbx))
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def voicemail(pbx: Pbx) -> Scenario:
    """Nobody answers; the caller leaves a message, and the box has one new message more."""
    user = _available_user(pbx)
    lead = pbx.receive(_random_caller(pbx), DID)
    leg = pbx.call_user(lead, user)
    yield 20
    pbx.stop_ringing(leg)
    pbx.leave_message(lead, user)
    yield pbx.random.uniform(5, 30)
    pbx.hang_up(lead)
    new, _, saved = (user.mwi or "0/0").partition("/")
    pbx.set_message_counts(user, int(new) + 1, int(saved))


def direct_call(pbx: Pbx) -> Scenario:
    """A customer calls a user directly; either of them hangs up."""
    lead = pbx.receive(_random_caller(pbx), DID)
    leg = pbx.call_user(lead, _available_user(pbx))
    yield pbx.random.uniform(2, 10)
    pbx.connect(leg)
    yield pbx.random.uniform(10, 120)
    pbx.hang_up(pbx.random.choice((lead, leg)))


def abandoned_ringing(pbx: Pbx) -> Scenario:
    """The caller abandons the call while a phone rings."""
    lead = pbx.receive(_random_caller(pbx), DID)
    pbx.call_user(lead, _available_user(pbx))
    yield pbx.random.uniform(5, 15)
    pbx.hang_up(lead)


def no_answer(pbx: Pbx) -> Scenario:
    """Nobody answers, and the PBX ends the call."""
    lead = pbx.receive(_random_caller(pbx), DID)
    leg = pbx.call_user(lead, _available_user(pbx))
    yield 30
    pbx.hang_up(leg, "NO_ANSWER", by_peer=False)


def parked(pbx: Pbx) -> Scenario:
    """A call is parked, and another user retrieves it."""
    lead = yield from _menu(pbx)
    if (yield from _queue(pbx, lead, _random_group(pbx))) is None:
        return
    yield pbx.random.uniform(3, 10)
    yield from _park_and_retrieve(pbx, lead)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def picked_up(pbx: Pbx) -> Scenario:
    """A phone rings, and a colleague picks the call up from another phone."""
    lead = pbx.receive(_random_caller(pbx), DID)
    ringing = pbx.call_user(lead, _available_user(pbx))
    yield pbx.random.uniform(3, 8)
    leg = pbx.receive(_available_user(pbx), f"pickup_uuid.{ringing.uuid}")
    pbx.set_state(leg, "system_operation", operation="pickup")
    yield 0.3
    pbx.pick_up(leg, lead)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def blind_transfer(pbx: Pbx) -> Scenario:
    """A user makes a blind transfer to a colleague."""
    lead = yield from _talk(pbx)
    leg = pbx.transfer(lead, _available_user(pbx))[0]
    yield pbx.random.uniform(2, 8)
    pbx.connect(leg)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def attended_transfer(pbx: Pbx) -> Scenario:
    """A user makes a consult call to a colleague, and then transfers the first call to them."""
    lead = yield from _talk(pbx)
    leg = pbx.partner(lead)
    if leg is None or leg.user is None:
        raise NotPossibleError("the caller is not bridged to a user")
    colleague = _available_user(pbx)
    consulting = pbx.receive(leg.user, colleague.main_extension)
    consulted = pbx.call_user(consulting, colleague)
    yield pbx.random.uniform(2, 5)
    pbx.connect(consulted)
    yield pbx.random.uniform(3, 10)
    pbx.attended_transfer(lead, consulted)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(lead)


def after_hours(pbx: Pbx) -> Scenario:
    """A remote-controlled menu, then a SIP URL, then the endpoint of another PBX."""
    lead = pbx.receive(_random_caller(pbx), DID)
    pbx.set_state(lead, "xml_ivr")
    yield 1
    pbx.answer(lead)
    yield pbx.random.uniform(2, 6)
    pbx.set_state(lead, "calling_siptermination", url="sip:night@voice.example.com")
    yield pbx.random.uniform(5, 20)
    pbx.set_state(
        lead,
        "calling",
        target_location="ext",
        target_type="bridged_endpoint",
        address="night@branch.example.com",
    )
    yield pbx.random.uniform(5, 20)
    pbx.hang_up(lead)


def maximum_duration(pbx: Pbx) -> Scenario:
    """The PBX ends a call that reaches the maximum duration."""
    lead = yield from _talk(pbx)
    yield _MAX_CALL_DURATION
    pbx.hang_up(lead, "ALLOTTED_TIMEOUT", by_peer=False)


# -- calls by users -------------------------------------------------------------------


def internal_call(pbx: Pbx) -> Scenario:
    """One user calls another."""
    caller = _available_user(pbx)
    callee = _available_user(pbx, other_than=caller)
    lead = pbx.receive(caller, callee.main_extension)
    leg = pbx.call_user(lead, callee)
    yield pbx.random.uniform(2, 6)
    pbx.connect(leg)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(pbx.random.choice((lead, leg)))


def outbound_call(pbx: Pbx) -> Scenario:
    """A user calls a customer."""
    person = _random_caller(pbx)
    lead = pbx.receive(_available_user(pbx), person.number)
    leg = pbx.call_out(lead, person)
    yield pbx.random.uniform(4, 12)
    pbx.connect(leg)
    yield pbx.random.uniform(10, 90)
    pbx.hang_up(pbx.random.choice((lead, leg)))


def busy(pbx: Pbx) -> Scenario:
    """A user calls a customer, who is busy."""
    yield from _refused(pbx, "USER_BUSY")


def rejected(pbx: Pbx) -> Scenario:
    """A user calls a customer, who rejects the call."""
    yield from _refused(pbx, "CALL_REJECTED")


def unreachable(pbx: Pbx) -> Scenario:
    """A user calls a customer, whose phone does not respond."""
    yield from _refused(pbx, "NO_USER_RESPONSE")


def click_to_call(pbx: Pbx) -> Scenario:
    """The CRM calls a user through the API, and then the customer."""
    lead = pbx.originate(_available_user(pbx), _random_caller(pbx).number)
    yield pbx.random.uniform(1, 3)
    pbx.answer(lead)
    leg = pbx.call_out(lead, _random_caller(pbx))
    yield pbx.random.uniform(4, 12)
    pbx.connect(leg)
    yield pbx.random.uniform(10, 60)
    pbx.hang_up(leg)


def checking_voicemail(pbx: Pbx) -> Scenario:
    """A user listens to their messages; new messages become saved ones."""
    user = _available_user(pbx)
    lead = pbx.receive(user, "*97")
    pbx.set_state(lead, "checking_voicemail", target_name=user.name)
    pbx.answer(lead)
    yield pbx.random.uniform(5, 30)
    new, _, saved = (user.mwi or "0/0").partition("/")
    pbx.set_message_counts(user, 0, int(new) + int(saved))
    pbx.hang_up(lead)


def conference(pbx: Pbx) -> Scenario:
    """A caller, the user they talk to and a colleague join a conference room."""
    lead = yield from _talk(pbx)
    leg = pbx.partner(lead)
    third = pbx.receive(_available_user(pbx), "8000")
    pbx.set_state(third, "system_operation", operation="conference")
    pbx.answer(third)
    yield 1
    participants = [lead, third] if leg is None else [lead, leg, third]
    pbx.start_conference(participants, "8000")
    yield pbx.random.uniform(10, 60)
    for channel in participants:
        pbx.hang_up(channel)
        yield pbx.random.uniform(0.2, 2)


def eavesdrop(pbx: Pbx) -> Scenario:
    """A supervisor listens in on a call."""
    lead = yield from _talk(pbx)
    plug = pbx.originate(_available_user(pbx), "media_plug")
    yield 1
    pbx.answer(plug)
    pbx.eavesdrop(plug, lead)
    yield pbx.random.uniform(5, 20)
    pbx.hang_up(plug)
    yield pbx.random.uniform(1, 5)
    pbx.hang_up(lead)


# -- users, groups, phones ------------------------------------------------------------


def directory_changes(pbx: Pbx) -> Scenario:
    """One random change of presence, labels, phones, memberships, groups or users."""
    rng = pbx.random
    user = rng.choice(list(pbx.users.values()))
    match rng.randrange(7):
        case 0:
            pbx.edit(user, presence=rng.randrange(4))
        case 1:
            pbx.edit(user, label=user.label.split("・")[0] + f"・{rng.randrange(100)}")
        case 2 if pbx.terminals_of(user):
            phone: Terminal = pbx.terminals_of(user)[0]
            pbx.edit(phone, registered=0)
            yield rng.uniform(5, 60)
            pbx.edit(phone, registered=1, user_agent=f"Softphone 4.{rng.randrange(9)}")
        case 3:
            member: GroupMember = pbx.add_member(user, rng.choice(list(pbx.groups.values())))
            yield rng.uniform(5, 60)
            pbx.edit(member, priority=1, login_status=1)
            yield rng.uniform(5, 60)
            if member.id in pbx.members:
                pbx.remove_member(member)
        case 4:
            pbx.edit(rng.choice(list(pbx.groups.values())), flags=rng.randrange(8))
        case 5:
            group = pbx.create_group("臨時グループ", hunt=True)
            pbx.add_member(user, group)
            yield rng.uniform(20, 60)
            pbx.remove_group(group)
        case _:
            trainee = pbx.add_user("研修生")
            yield rng.uniform(20, 60)
            pbx.remove_user(trainee)


# -- a day ----------------------------------------------------------------------------

# Weight of each scenario in a day; the sum is about one hundred.
_MIX: dict[ScenarioFunction, int] = {
    inbound_call: 24,
    hunt: 4,
    abandoned: 6,
    voicemail: 4,
    direct_call: 8,
    abandoned_ringing: 3,
    no_answer: 2,
    parked: 5,
    picked_up: 3,
    blind_transfer: 3,
    attended_transfer: 3,
    after_hours: 2,
    maximum_duration: 1,
    internal_call: 6,
    outbound_call: 8,
    busy: 2,
    rejected: 2,
    unreachable: 1,
    click_to_call: 3,
    checking_voicemail: 2,
    conference: 1,
    eavesdrop: 1,
    directory_changes: 6,
}

SCENARIOS = {function.__name__: function for function in _MIX}
"""All scenarios by name."""


def day(pbx: Pbx, timeline: Timeline, rate: float) -> Scenario:
    """Start ``rate`` scenarios per minute of PBX time, for ever."""
    functions, weights = list(_MIX), list(_MIX.values())
    long_call_until = pbx.now
    while True:
        function = pbx.random.choices(functions, weights)[0]
        if function is maximum_duration:
            # One at a time: such calls last for hours, and would soon occupy all users.
            if pbx.now < long_call_until:
                function = inbound_call
            else:
                long_call_until = pbx.now + _MAX_CALL_DURATION * SECOND
        timeline.start(function(pbx))
        yield pbx.random.expovariate(rate / 60)


# -- parts of scenarios ---------------------------------------------------------------


def _random_caller(pbx: Pbx) -> Person:
    return pbx.random.choice(CALLERS)


def _random_group(pbx: Pbx, *, hunt: bool = False) -> Group:
    groups = [group for group in pbx.groups.values() if group.type == int(hunt)]
    if not groups:
        raise NotPossibleError("the PBX has no hunt group" if hunt else "the PBX has no ring group")
    return pbx.random.choice(groups)


def _available_user(pbx: Pbx, other_than: User | None = None) -> User:
    available = [user for user in pbx.available(pbx.users.values()) if user is not other_than]
    if not available:
        raise NotPossibleError("no user is available")
    return pbx.random.choice(available)


def _menu(pbx: Pbx) -> Generator[float, None, Channel]:
    """Let a caller listen to the menu; return the caller's leg."""
    lead = pbx.receive(_random_caller(pbx), DID)
    if pbx.random.random() < 0.2:
        lead.tags = ("monitoring_required",)
    pbx.set_state(lead, "ivr", ivr_id="main_menu")
    pbx.answer(lead)
    yield pbx.random.uniform(1.5, 3)
    return lead


def _queue(pbx: Pbx, lead: Channel, group: Group) -> Generator[float, None, Channel | None]:
    """Let a caller wait for a group; return the leg that answers, ``None``: abandoned."""
    ringing = pbx.call_group(lead, group)
    for _ in range(8):
        yield pbx.random.uniform(2, 5)
        ringing = [leg for leg in ringing if leg.uuid in pbx.channels]
        if ringing:
            leg = pbx.random.choice(ringing)
            pbx.connect(leg)
            return leg
        ringing = [pbx.ring(lead, user) for user in pbx.available(pbx.members_of(group))]
    pbx.hang_up(lead)
    return None


def _talk(pbx: Pbx) -> Generator[float, None, Channel]:
    """Let a caller talk to a user; return the caller's leg."""
    lead = pbx.receive(_random_caller(pbx), DID)
    leg = pbx.call_user(lead, _available_user(pbx))
    yield pbx.random.uniform(2, 6)
    pbx.connect(leg)
    yield pbx.random.uniform(5, 15)
    return lead


def _park_and_retrieve(pbx: Pbx, lead: Channel) -> Generator[float, None, Channel]:
    """Let a user park the caller and a colleague retrieve the call; return the latter's leg."""
    slot = pbx.park(lead)
    yield pbx.random.uniform(3, 6)
    leg = pbx.receive(_available_user(pbx), str(slot))
    pbx.set_state(leg, "system_operation", operation="unpark")
    yield 0.5
    pbx.retrieve(leg, lead)
    return leg


def _refused(pbx: Pbx, cause: str) -> Scenario:
    """Let a user call a customer who refuses the call with this hangup cause."""
    person = _random_caller(pbx)
    lead = pbx.receive(_available_user(pbx), person.number)
    leg = pbx.call_out(lead, person)
    yield pbx.random.uniform(1, 5)
    pbx.hang_up(leg, cause)
