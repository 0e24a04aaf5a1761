"""Call log of a call centre with the load of real days, from random numbers."""

from __future__ import annotations

from datetime import timedelta

import attrs

from basix_ws_cti import QueueWait
from basix_ws_cti.board.durations import to_microseconds
from support.call_rows import SECOND, participation
from support.report_rows import call_record, fill, unanswered

# Relative load by weekday, from Monday on, and by hour.
WEEKDAYS = (1.05, 0.95, 0.9, 0.92, 1.0, 0.4, 0.05)
HOURS = {8: 1, 9: 5, 10: 9, 11: 10, 12: 7, 13: 6, 14: 8, 15: 9, 16: 9, 17: 7, 18: 3, 19: 1}

QUEUES = {"en": ("Sales", "Support", "Billing"), "ja": ("営業", "サポート", "請求")}
AGENTS = {
    "en": (
        *("Hanako Sato", "Kenta Suzuki", "Yui Tanaka", "Ren Watanabe"),
        *("Sakura Ito", "Daiki Yamamoto", "Aoi Nakamura", "Haruto Kobayashi"),
    ),
    "ja": (
        *("佐藤 花子", "鈴木 健太", "田中 結衣", "渡辺 蓮"),
        *("伊藤 さくら", "山本 大輝", "中村 葵", "小林 陽翔"),
    ),
}


def write_call_centre(
    database,
    period,
    random,
    *,
    calls_a_day,
    queues=QUEUES["en"],
    agents=AGENTS["en"],
    gaps=1,
):
    """Write the calls of a period to a new call log, and return its path or URL.

    - ``calls_a_day``: about the number of queue calls on a weekday.
    - ``queues``, ``agents``: names; ids count from 1 and from 11.
    - ``gaps``: number of interruptions of the feed, of 19 minutes each, one every day from 10:12.
    """
    calls, waits, parts = [], [], []
    for number, (entered, hour) in enumerate(_times(period, random, calls_a_day)):
        average = 12 if hour in {10, 11} else 8  # seconds of waiting
        wait = _wait(random, str(number), entered, average, queues=len(queues), agents=len(agents))
        talked = round(random.lognormvariate(5, 0.6)) * SECOND
        waits.append(wait)
        parts += _offers(random, wait, talked, len(agents))
        calls.append(_call(wait, talked))
        if random.random() < 0.25:
            calls.append(_outgoing(random, f"{number}-out", entered))
            parts.append(_placed(random, calls[-1], talked // 2, len(agents)))
    first_gap = period.start + timedelta(hours=10, minutes=12)
    starts = [to_microseconds(first_gap + timedelta(days=day)) for day in range(gaps)]
    return fill(
        database,
        calls=calls,
        waits=waits,
        participations=parts,
        gaps=[
            {"started": start, "ended": start + 1140 * SECOND, "reason": "KeepaliveTimeout"}
            for start in starts
        ],
        names=[
            *_names("group", 1, queues, period.start_us),
            *_names("user", 11, agents, period.start_us),
        ],
    )


def _times(period, random, calls_a_day):
    """Yield times of calls in microseconds, and their hours, day by day."""
    for day in range((period.end - period.start).days):
        start = period.start + timedelta(days=day)
        load = WEEKDAYS[start.weekday()] * random.uniform(0.85, 1.15)
        number = round(calls_a_day * load)
        for hour in sorted(random.choices(list(HOURS), list(HOURS.values()), k=number)):
            moment = start.replace(hour=hour, minute=random.randrange(60))
            yield to_microseconds(moment) + random.randrange(60 * SECOND), hour


def _wait(random, call_id, entered, average, *, queues, agents):
    waited = int(random.expovariate(1 / average) * SECOND) + SECOND
    result = random.choices(
        ["answered", "abandoned", "overflowed", "voicemail", "ended", "unknown"],
        [910, 55, 12, 15, 6, 2],
    )[0]
    if result != "answered":
        waited *= 3
    return QueueWait(
        call_id=call_id,
        group_id=random.choices(range(1, queues + 1), range(2 * queues, queues, -1))[0],
        entered=entered,
        left=entered + waited,
        waited_us=waited,
        result=result,
        next_group_id=None,
        answered_by_user_id=random.randrange(11, 11 + agents) if result == "answered" else None,
        rings=1,
        entered_by_transfer=False,
        purpose="call",
        complete=True,
    )


def _offers(random, wait, talked, agents):
    """Return the participation of the agent who answered, and at times one who did not."""
    agent = wait.answered_by_user_id
    offer = participation(
        call_id=wait.call_id,
        user_id=random.randrange(11, 11 + agents),
        group_id=wait.group_id,
        first_offered=wait.entered,
    )
    rows = []
    if agent is not None:
        rows.append(
            attrs.evolve(
                offer, user_id=agent, result="answered", answered=wait.left, talked_us=talked
            )
        )
    if random.random() < 0.06 and offer.user_id != agent:
        rows.append(attrs.evolve(offer, result="missed"))
    return rows


def _call(wait, talked):
    if wait.result == "answered":
        return call_record(wait.call_id, wait.entered, group_id=wait.group_id, talking_us=talked)
    disposition = wait.result if wait.result in {"abandoned", "voicemail"} else "missed"
    return unanswered(wait.call_id, wait.entered, group_id=wait.group_id, disposition=disposition)


def _outgoing(random, call_id, started):
    is_answered = random.random() < 0.75
    return call_record(
        call_id,
        started,
        direction=random.choice(["outbound", "outbound", "internal"]),
        answered=started + SECOND if is_answered else None,
        disposition="answered" if is_answered else "unanswered",
    )


def _placed(random, call, talked, agents):
    is_answered = call.disposition == "answered"
    return participation(
        call_id=call.id,
        user_id=random.randrange(11, 11 + agents),
        role="placed",
        group_id=None,
        result=call.disposition,
        first_offered=call.started,
        answered=call.answered,
        talked_us=talked if is_answered else 0,
        direction=call.direction,
    )


def _names(kind, first, names, since):
    return [
        {
            "kind": kind,
            "id": id_,
            "since": since,
            "name": name,
            "extension": str(1000 + id_) if kind == "user" else None,
        }
        for id_, name in enumerate(names, first)
    ]
