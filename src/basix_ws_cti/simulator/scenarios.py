"""What happens in the simulated PBX: each scenario is a short story, told to the PBX.

A scenario picks the people it needs among those who are free, and ends at once if there
are none. Between its steps it yields the seconds that pass; see ``timeline``. ``day`` runs
them all, mixed as in a call centre.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from .model import Channel, Group, GroupMember, Person, Terminal, User
from .pbx import DID, SECOND, NotPossibleError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from .pbx import Pbx
    from .timeline import Timeline

    Scenario = Iterator[float]
    Story = Callable[[Pbx], Scenario]

_LONGEST = 6 * 60 * 60
"""Seconds that a call may take."""

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
        namesakes=(Person("0521110000", "12351", "中島 恵", "中島工業|総務"),),
        unlisted=2,
    ),
    Person("05031234567", whoscall=quote('{"name":"宅配サービス","spam":false}')),
    Person("anonymous"),
)


def company(pbx: Pbx, users: int = len(STAFF)) -> None:
    """People with telephones, in groups of ten: every fourth group hunts, the others ring."""
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
        pbx.join(pbx.add_user(label if number < len(labels) else f"{label} {number}"), group)


# -- calls from outside ---------------------------------------------------------------


def inbound_call(pbx: Pbx) -> Scenario:
    """Menu, ring group, one member wins; perhaps the call is parked and fetched; the end."""
    line = yield from _menu(pbx)
    leg = yield from _queue(pbx, line, _a_group(pbx))
    if leg is None:
        return
    yield pbx.random.uniform(4, 9)
    if pbx.random.random() < 0.5:
        leg = yield from _park_and_fetch(pbx, line)
        yield pbx.random.uniform(3, 8)
    pbx.hang_up(line)


def hunt(pbx: Pbx) -> Scenario:
    """A hunt group's telephones ring one after another, until somebody answers."""
    line = yield from _menu(pbx)
    group = _a_group(pbx, hunt=True)
    ringing = pbx.call_group(line, group)
    tried = set()
    while ringing:
        yield pbx.random.uniform(2, 6)
        if pbx.random.random() < 0.5:
            pbx.connect(ringing[0])
            yield pbx.random.uniform(5, 60)
            break
        pbx.give_up(ringing[0])
        tried.add(ringing[0].address)
        untried = [u for u in pbx.free(pbx.staff(group)) if pbx.terminals[u.id].name not in tried]
        ringing = [pbx.ring(line, user) for user in untried[:1]]
    pbx.hang_up(line)


def abandoned(pbx: Pbx) -> Scenario:
    """The caller loses patience in the queue."""
    line = yield from _menu(pbx)
    pbx.call_group(line, _a_group(pbx))
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(line)


def voicemail(pbx: Pbx) -> Scenario:
    """Nobody answers: the caller leaves a message, and the box counts one more."""
    user = _somebody(pbx)
    line = pbx.receive(_a_caller(pbx), DID)
    leg = pbx.call_user(line, user)
    yield 20
    pbx.give_up(leg)
    pbx.leave_message(line, user)
    yield pbx.random.uniform(5, 30)
    pbx.hang_up(line)
    new, _, saved = (user.mwi or "0/0").partition("/")
    pbx.count_messages(user, int(new) + 1, int(saved))


def direct_call(pbx: Pbx) -> Scenario:
    """Somebody outside calls a user's own number; the call goes on until somebody ends it."""
    line = pbx.receive(_a_caller(pbx), DID)
    leg = pbx.call_user(line, _somebody(pbx))
    yield pbx.random.uniform(2, 10)
    pbx.connect(leg)
    yield pbx.random.uniform(10, 120)
    pbx.hang_up(pbx.random.choice((line, leg)))


def gave_up_ringing(pbx: Pbx) -> Scenario:
    """The caller cancels while a telephone rings."""
    line = pbx.receive(_a_caller(pbx), DID)
    pbx.call_user(line, _somebody(pbx))
    yield pbx.random.uniform(5, 15)
    pbx.hang_up(line)


def no_answer(pbx: Pbx) -> Scenario:
    """Nobody answers, and there is no voicemail."""
    line = pbx.receive(_a_caller(pbx), DID)
    leg = pbx.call_user(line, _somebody(pbx))
    yield 30
    pbx.hang_up(leg, "NO_ANSWER", by_peer=False)


def parked(pbx: Pbx) -> Scenario:
    """A call is parked, and fetched by another user."""
    line = yield from _menu(pbx)
    if (yield from _queue(pbx, line, _a_group(pbx))) is None:
        return
    yield pbx.random.uniform(3, 10)
    yield from _park_and_fetch(pbx, line)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(line)


def picked_up(pbx: Pbx) -> Scenario:
    """A telephone rings, and a colleague answers from their own."""
    line = pbx.receive(_a_caller(pbx), DID)
    ringing = pbx.call_user(line, _somebody(pbx))
    yield pbx.random.uniform(3, 8)
    leg = pbx.receive(_somebody(pbx), f"pickup_uuid.{ringing.uuid}")
    pbx.set_state(leg, "system_operation", operation="pickup")
    yield 0.3
    pbx.pick_up(leg, line)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(line)


def blind_transfer(pbx: Pbx) -> Scenario:
    """A call is sent on to a colleague, unannounced."""
    line = yield from _talk(pbx)
    leg = pbx.transfer(line, _somebody(pbx))[0]
    yield pbx.random.uniform(2, 8)
    pbx.connect(leg)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(line)


def attended_transfer(pbx: Pbx) -> Scenario:
    """The user asks a colleague first, on a second line, and then joins the two calls."""
    line = yield from _talk(pbx)
    leg = pbx.partner(line)
    if leg is None or leg.user is None:
        raise NotPossibleError("the caller talks to nobody")
    colleague = _somebody(pbx)
    asking = pbx.receive(leg.user, colleague.main_extension)
    asked = pbx.call_user(asking, colleague)
    yield pbx.random.uniform(2, 5)
    pbx.connect(asked)
    yield pbx.random.uniform(3, 10)
    pbx.join_calls(line, asked)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(line)


def after_hours(pbx: Pbx) -> Scenario:
    """Menus driven from outside, then another PBX, by SIP URL or by its endpoint."""
    line = pbx.receive(_a_caller(pbx), DID)
    pbx.set_state(line, "xml_ivr")
    yield 1
    pbx.answer(line)
    yield pbx.random.uniform(2, 6)
    pbx.set_state(line, "calling_siptermination", url="sip:night@voice.example.com")
    yield pbx.random.uniform(5, 20)
    pbx.set_state(
        line,
        "calling",
        target_location="ext",
        target_type="bridged_endpoint",
        address="night@branch.example.com",
    )
    yield pbx.random.uniform(5, 20)
    pbx.hang_up(line)


def too_long(pbx: Pbx) -> Scenario:
    """A call reaches the longest time that the PBX allows, and is ended."""
    line = yield from _talk(pbx)
    yield _LONGEST
    pbx.hang_up(line, "ALLOTTED_TIMEOUT", by_peer=False)


# -- calls of users -------------------------------------------------------------------


def internal_call(pbx: Pbx) -> Scenario:
    """One user calls another."""
    caller = _somebody(pbx)
    callee = _somebody(pbx, but=caller)
    line = pbx.receive(caller, callee.main_extension)
    leg = pbx.call_user(line, callee)
    yield pbx.random.uniform(2, 6)
    pbx.connect(leg)
    yield pbx.random.uniform(5, 40)
    pbx.hang_up(pbx.random.choice((line, leg)))


def outbound_call(pbx: Pbx) -> Scenario:
    """A user calls a customer."""
    person = _a_caller(pbx)
    line = pbx.receive(_somebody(pbx), person.number)
    leg = pbx.call_out(line, person)
    yield pbx.random.uniform(4, 12)
    pbx.connect(leg)
    yield pbx.random.uniform(10, 90)
    pbx.hang_up(pbx.random.choice((line, leg)))


def busy(pbx: Pbx) -> Scenario:
    """A user calls a customer, who is on the phone."""
    yield from _refused(pbx, "USER_BUSY")


def rejected(pbx: Pbx) -> Scenario:
    """A user calls a customer, who does not want to talk."""
    yield from _refused(pbx, "CALL_REJECTED")


def unreachable(pbx: Pbx) -> Scenario:
    """A user calls a customer whose telephone does not answer the network."""
    yield from _refused(pbx, "NO_USER_RESPONSE")


def click_to_call(pbx: Pbx) -> Scenario:
    """The CRM rings a user's telephone by the API, and then the customer's."""
    line = pbx.originate(_somebody(pbx), _a_caller(pbx).number)
    yield pbx.random.uniform(1, 3)
    pbx.answer(line)
    leg = pbx.call_out(line, _a_caller(pbx))
    yield pbx.random.uniform(4, 12)
    pbx.connect(leg)
    yield pbx.random.uniform(10, 60)
    pbx.hang_up(leg)


def checking_voicemail(pbx: Pbx) -> Scenario:
    """A user listens to their messages: what was new is saved."""
    user = _somebody(pbx)
    line = pbx.receive(user, "*97")
    pbx.set_state(line, "checking_voicemail", target_name=user.name)
    pbx.answer(line)
    yield pbx.random.uniform(5, 30)
    new, _, saved = (user.mwi or "0/0").partition("/")
    pbx.count_messages(user, 0, int(new) + int(saved))
    pbx.hang_up(line)


def conference(pbx: Pbx) -> Scenario:
    """A caller, the user they talk to and a colleague meet in a conference room."""
    line = yield from _talk(pbx)
    leg = pbx.partner(line)
    third = pbx.receive(_somebody(pbx), "8000")
    pbx.set_state(third, "system_operation", operation="conference")
    pbx.answer(third)
    yield 1
    everybody = [line, third] if leg is None else [line, leg, third]
    pbx.confer(everybody, "8000")
    yield pbx.random.uniform(10, 60)
    for channel in everybody:
        pbx.hang_up(channel)
        yield pbx.random.uniform(0.2, 2)


def eavesdrop(pbx: Pbx) -> Scenario:
    """A supervisor listens in on a call."""
    line = yield from _talk(pbx)
    plug = pbx.originate(_somebody(pbx), "media_plug")
    yield 1
    pbx.eavesdrop(plug, line)
    yield pbx.random.uniform(5, 20)
    pbx.hang_up(plug)
    yield pbx.random.uniform(1, 5)
    pbx.hang_up(line)


# -- the office -----------------------------------------------------------------------


def office(pbx: Pbx) -> Scenario:
    """Somebody changes something: presence, names, telephones, memberships, groups, users."""
    chance = pbx.random
    user = chance.choice(list(pbx.users.values()))
    match chance.randrange(7):
        case 0:
            pbx.edit(user, presence=chance.randrange(4))
        case 1:
            pbx.edit(user, label=user.label.split("・")[0] + f"・{chance.randrange(100)}")
        case 2 if user.id in pbx.terminals:
            phone: Terminal = pbx.terminals[user.id]
            pbx.edit(phone, registered=0)
            yield chance.uniform(5, 60)
            pbx.edit(phone, registered=1, user_agent=f"Softphone 4.{chance.randrange(9)}")
        case 3:
            member: GroupMember = pbx.join(user, chance.choice(list(pbx.groups.values())))
            yield chance.uniform(5, 60)
            pbx.edit(member, priority=1, login_status=1)
            yield chance.uniform(5, 60)
            if member.id in pbx.members:
                pbx.leave(member)
        case 4:
            pbx.edit(chance.choice(list(pbx.groups.values())), flags=chance.randrange(8))
        case 5:
            group = pbx.create_group("臨時グループ", hunt=True)
            pbx.join(user, group)
            yield chance.uniform(20, 60)
            pbx.dissolve(group)
        case _:
            trainee = pbx.add_user("研修生")
            yield chance.uniform(20, 60)
            pbx.remove_user(trainee)


# -- the day --------------------------------------------------------------------------

# What a hundred things that happen are.
_MIX: dict[Story, int] = {
    inbound_call: 24,
    hunt: 4,
    abandoned: 6,
    voicemail: 4,
    direct_call: 8,
    gave_up_ringing: 3,
    no_answer: 2,
    parked: 5,
    picked_up: 3,
    blind_transfer: 3,
    attended_transfer: 3,
    after_hours: 2,
    too_long: 1,
    internal_call: 6,
    outbound_call: 8,
    busy: 2,
    rejected: 2,
    unreachable: 1,
    click_to_call: 3,
    checking_voicemail: 2,
    conference: 1,
    eavesdrop: 1,
    office: 6,
}

STORIES = {story.__name__: story for story in _MIX}


def day(pbx: Pbx, timeline: Timeline, rate: float) -> Scenario:
    """A day in a call centre that never closes: ``rate`` things begin in a minute."""
    stories, weights = list(_MIX), list(_MIX.values())
    over = pbx.now
    while True:
        story = pbx.random.choices(stories, weights)[0]
        if story is too_long:
            # One at a time: else, after two hours, everybody would be in such a call.
            if pbx.now < over:
                story = inbound_call
            else:
                over = pbx.now + _LONGEST * SECOND
        timeline.start(story(pbx))
        yield pbx.random.expovariate(rate / 60)


# -- parts of stories -----------------------------------------------------------------


def _a_caller(pbx: Pbx) -> Person:
    return pbx.random.choice(CALLERS)


def _a_group(pbx: Pbx, *, hunt: bool = False) -> Group:
    groups = [group for group in pbx.groups.values() if group.type == int(hunt)]
    if not groups:
        raise NotPossibleError("there is no group that hunts" if hunt else "no group rings")
    return pbx.random.choice(groups)


def _somebody(pbx: Pbx, but: User | None = None) -> User:
    free = [user for user in pbx.free(pbx.users.values()) if user is not but]
    if not free:
        raise NotPossibleError("nobody is free")
    return pbx.random.choice(free)


def _menu(pbx: Pbx) -> Generator[float, None, Channel]:
    """A caller listens to the menu."""
    line = pbx.receive(_a_caller(pbx), DID)
    if pbx.random.random() < 0.2:
        line.tags = ("monitoring_required",)
    pbx.set_state(line, "ivr", ivr_id="main_menu")
    pbx.answer(line)
    yield pbx.random.uniform(1.5, 3)
    return line


def _queue(pbx: Pbx, line: Channel, group: Group) -> Generator[float, None, Channel | None]:
    """The caller waits for a group; ``None``: and gave up."""
    ringing = pbx.call_group(line, group)
    for _ in range(8):
        yield pbx.random.uniform(2, 5)
        ringing = [leg for leg in ringing if leg.uuid in pbx.channels]
        if ringing:
            leg = pbx.random.choice(ringing)
            pbx.connect(leg)
            return leg
        ringing = [pbx.ring(line, user) for user in pbx.free(pbx.staff(group))]
    pbx.hang_up(line)
    return None


def _talk(pbx: Pbx) -> Generator[float, None, Channel]:
    """A caller and a user talk; the caller's line."""
    line = pbx.receive(_a_caller(pbx), DID)
    leg = pbx.call_user(line, _somebody(pbx))
    yield pbx.random.uniform(2, 6)
    pbx.connect(leg)
    yield pbx.random.uniform(5, 15)
    return line


def _park_and_fetch(pbx: Pbx, line: Channel) -> Generator[float, None, Channel]:
    """The user parks the caller; a colleague dials the slot."""
    slot = pbx.park(line)
    yield pbx.random.uniform(3, 6)
    leg = pbx.receive(_somebody(pbx), str(slot))
    pbx.set_state(leg, "system_operation", operation="unpark")
    yield 0.5
    pbx.retrieve(leg, line)
    return leg


def _refused(pbx: Pbx, cause: str) -> Scenario:
    person = _a_caller(pbx)
    line = pbx.receive(_somebody(pbx), person.number)
    leg = pbx.call_out(line, person)
    yield pbx.random.uniform(1, 5)
    pbx.hang_up(leg, cause)
