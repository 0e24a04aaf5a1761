"""What happens in the simulated PBX: each scenario is a generator.

It does things to the ``Pbx`` and yields the seconds until it wants to go on. The
``Timeline`` lets any number of them run at once, in the PBX's own time.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

from .pbx import SECOND, Channel, Group, Pbx, Person, User

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

STAFF = ("佐藤 健", "鈴木 花子", "高橋 一郎", "Maria Silva", "田中 美咲")
GROUP = "サポート"
DID = "0501234567"

CALLERS = (
    Person("0312341234", "12345", "山田 太郎", "株式会社山田商店", "", "東京都"),
    Person("09011112222", "12346", "伊藤 さくら", "", "sakura.png", "大阪府"),
    Person("0667890123", "12347", "Kenji Watanabe", "Acme & Sons", "", "Osaka"),
    Person("08033334444"),
    Person("0452223333", "12348", "渡辺 直子", "渡辺クリニック", "", "神奈川県"),
)


def inbound_call(pbx: Pbx, group: Group, caller: Person) -> Iterator[float]:
    """A call from outside: menu, ringing group, one answers, perhaps parked, the end."""
    line = pbx.offer(
        "inbound",
        person=caller,
        address=caller.number,
        calling_number=caller.number,
        calling_name=caller.number,
        called_number=DID,
        state=("ivr", ("main_menu",)),
    )
    yield pbx.random.uniform(1.5, 3)
    line.group, line.did = group, DID
    pbx.answer(line)
    pbx.enter(line, "calling", "int", "group", ("ring", group.id, None, None, group.name))
    pbx.wait(line)
    ringing = [_ring(pbx, user, line) for user in pbx.members(group)]
    yield pbx.random.uniform(2, 5)

    winner = pbx.random.choice(ringing)
    pbx.answer(winner)
    for leg in ringing:
        if leg is not winner:
            pbx.hang_up(leg, "send_cancel", "LOSE_RACE")
    pbx.fetch(line)
    pbx.bridge(line, winner)
    yield pbx.random.uniform(4, 9)

    if pbx.random.random() < 0.5:
        parker = pbx.park(line, winner)
        yield pbx.random.uniform(3, 6)
        colleagues = [user for user in pbx.members(group) if user is not parker]
        winner = yield from _retrieve(pbx, line, pbx.random.choice(colleagues))
        yield pbx.random.uniform(3, 8)

    pbx.hang_up(line, "recv_bye", "NORMAL_CLEARING")
    pbx.hang_up(winner, "send_bye", "NORMAL_CLEARING")


def _ring(pbx: Pbx, user: User, line: Channel) -> Channel:
    return pbx.offer(
        "outbound",
        user=user,
        address=pbx.terminal(user).name,
        group=line.group,
        calling_number=line.calling_number,
        calling_name=line.person.name if line.person else None,
        called_number=user.extension,
        other=line,
        state=("ringing",),
    )


def _retrieve(pbx: Pbx, line: Channel, user: User) -> Generator[float, None, Channel]:
    """``user`` dials the park slot and talks to who stands on it."""
    leg = pbx.offer(
        "inbound",
        user=user,
        address=pbx.terminal(user).name,
        calling_number=user.extension,
        calling_name=user.label,
        called_number=str(line.state.parts[0]),
        state=("system_operation", ("unpark",)),
    )
    yield 0.5
    pbx.answer(leg)
    pbx.fetch(line)
    pbx.bridge(line, leg)
    return leg


def calls(pbx: Pbx, timeline: Timeline, group: Group) -> Iterator[float]:
    """One caller after another, for ever; their calls overlap."""
    while True:
        timeline.start(inbound_call(pbx, group, pbx.random.choice(CALLERS)))
        yield pbx.random.uniform(4, 10)


class Timeline:
    """Runs scenarios in the order of the PBX's own time."""

    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx
        self._order = count()  # first come, first served among those due together
        self._due: list[tuple[int, int, Iterator[float]]] = []

    def start(self, scenario: Iterator[float], after: float = 0) -> None:
        """Let a scenario begin in ``after`` seconds."""
        due = self._pbx.now + round(after * SECOND)
        heapq.heappush(self._due, (due, next(self._order), scenario))

    @property
    def pause(self) -> float | None:
        """Seconds of PBX time until something happens; ``None``: nothing will."""
        return (self._due[0][0] - self._pbx.now) / SECOND if self._due else None

    def step(self) -> None:
        """Move the clock to the next thing that happens, and let it happen."""
        self._pbx.now, _, scenario = heapq.heappop(self._due)
        wait = next(scenario, None)
        if wait is not None:
            self.start(scenario, wait)
