"""Parts of the simulated PBX's scenarios: customers, random choices, and what calls have in common.

A part that takes time is a generator like a scenario; a scenario runs it with ``yield from``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from .company import DID
from .errors import NotPossibleError
from .model import Channel, Group, Person, Terminal, User

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from .pbx import Pbx

    Scenario = Iterator[float]

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


def random_caller(pbx: Pbx) -> Person:
    """Return a person outside."""
    return pbx.random.choice(CALLERS)


def other_person(pbx: Pbx, known: Person | None) -> Person:
    """Return another person outside, with a number that can be called."""
    people = [one for one in CALLERS if one is not known and one.number.isdecimal()]
    return pbx.random.choice(people)


def random_group(pbx: Pbx, *, hunt: bool = False) -> Group:
    """Return a hunt group or a ring group."""
    groups = [group for group in pbx.groups.values() if group.type == int(hunt)]
    if not groups:
        raise NotPossibleError("the PBX has no hunt group" if hunt else "the PBX has no ring group")
    return pbx.random.choice(groups)


def available_user(pbx: Pbx, other_than: User | None = None) -> User:
    """Return a user who can take a call."""
    available = [user for user in pbx.available(pbx.users.values()) if user is not other_than]
    if not available:
        raise NotPossibleError("no user is available")
    return pbx.random.choice(available)


def two_phones(pbx: Pbx, user: User) -> list[Terminal]:
    """Return two registered phones of a user, who gets a second one if need be."""
    phones = [phone for phone in pbx.terminals_of(user) if phone.registered]
    return phones[:2] if len(phones) > 1 else [*phones, pbx.add_terminal(user)]


def ringing_leg(pbx: Pbx, legs: list[Channel]) -> Channel:
    """Return one of these legs that still rings."""
    ringing = [leg for leg in legs if leg.uuid in pbx.channels and leg.rings_for is not None]
    if not ringing:
        raise NotPossibleError("no phone rings")
    return pbx.random.choice(ringing)


def stop_ringing(pbx: Pbx, lead: Channel, legs: list[Channel]) -> None:
    """Let the phones that ring for a caller ring no more, because nobody answers in time."""
    if lead.state.name != "calling" or any(leg not in legs for leg in pbx.ringing_for(lead)):
        raise NotPossibleError("somebody has answered or transferred the call")
    for leg in legs:
        if leg.uuid in pbx.channels and leg.rings_for is not None:
            pbx.stop_ringing(leg)


def user_leg(pbx: Pbx, lead: Channel) -> tuple[Channel, User]:
    """Return the leg of the user that a caller talks to, and the user."""
    leg = pbx.partner(lead)
    if leg is None or leg.user is None:
        raise NotPossibleError("the caller is not bridged to a user")
    return leg, leg.user


def menu(pbx: Pbx) -> Generator[float, None, Channel]:
    """Let a caller listen to the menu; return the caller's leg."""
    lead = pbx.receive(random_caller(pbx), DID)
    if pbx.random.random() < 0.2:
        lead.tags = ("monitoring_required",)
    pbx.set_state(lead, "ivr", ivr_id="main_menu")
    pbx.answer(lead)
    yield pbx.random.uniform(1.5, 3)
    return lead


def queue(pbx: Pbx, lead: Channel, group: Group) -> Generator[float, None, Channel | None]:
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


def talk(pbx: Pbx) -> Generator[float, None, Channel]:
    """Let a caller talk to a user; return the caller's leg."""
    lead = pbx.receive(random_caller(pbx), DID)
    leg = pbx.call_user(lead, available_user(pbx))
    yield pbx.random.uniform(2, 6)
    pbx.connect(leg)
    yield pbx.random.uniform(5, 15)
    return lead


def park_and_retrieve(pbx: Pbx, lead: Channel) -> Generator[float, None, Channel]:
    """Let a user park the caller and a colleague retrieve the call; return the latter's leg."""
    slot = pbx.park(lead)
    yield pbx.random.uniform(3, 6)
    leg = pbx.receive(available_user(pbx), str(slot))
    pbx.set_state(leg, "system_operation", operation="unpark")
    yield 0.5
    pbx.retrieve(leg, lead)
    return leg


def refused(pbx: Pbx, cause: str) -> Scenario:
    """Let a user call a customer who refuses the call with this hangup cause."""
    person = random_caller(pbx)
    lead = pbx.receive(available_user(pbx), person.number)
    leg = pbx.call_out(lead, person)
    yield pbx.random.uniform(1, 5)
    pbx.hang_up(leg, cause)
