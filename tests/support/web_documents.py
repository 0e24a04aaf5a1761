"""State documents for the page of the browser wallboard, as its server sends them."""

from __future__ import annotations

import copy
import random

NOW = 1_767_150_312_000
"""2025-12-31 12:05:12 in Tokyo, in milliseconds."""

SECOND, MINUTE, QUARTER = 1000, 60_000, 900_000

QUEUES = {
    "en": (
        *("Sales", "Support", "Billing", "Reservations", "Repairs", "Returns"),
        *("Key accounts", "Spare parts", "Emergency line", "Export", "Leasing", "Front desk"),
    ),
    "ja": (
        *("営業部", "サポート窓口", "請求・お支払い", "ご予約", "修理受付", "返品・交換"),
        *("法人のお客様", "部品のご注文", "緊急連絡", "海外営業", "リース契約", "総合受付"),
    ),
}
NAMES = {
    "en": (
        *("Aoki Haruto", "Baba Yui", "Chiba Ren", "Doi Sakura", "Endo Minato", "Fujii Aoi"),
        *("Goto Riku", "Hara Mei", "Ito Sota", "Kato Himari", "Mori Yuma", "Nagai Rin"),
        *("Ono Kaito", "Sato Hina", "Ueda Asahi", "Wada Tsumugi"),
    ),
    "ja": (
        *("青木 陽翔", "馬場 結衣", "千葉 蓮", "土井 さくら", "遠藤 湊", "藤井 葵"),
        *("後藤 陸", "原 芽依", "伊藤 颯太", "加藤 陽葵", "森 悠真", "永井 凛"),
        *("小野 海斗", "佐藤 陽菜", "上田 朝陽", "和田 紬"),
    ),
}
STATES = ("talking", "talking", "free", "talking", "ringing", "free", "held", "offline")

WORDS = {
    "en": {
        "queued": "waiting for {}",
        "ringing": "calling {}",
        "talking": "talking with {}",
        "ivr": "in IVR",
        "parked": "parked at 901",
        "feed": "live",
        "lost": "connection lost: no pong within 5 s; retrying",
        "connecting": "connecting to the PBX",
    },
    "ja": {
        "queued": "{}で待機中",
        "ringing": "{}を呼出中",
        "talking": "{}と通話中",
        "ivr": "IVR",
        "parked": "901にパーク保留",
        "feed": "接続中",
        "lost": "切断されました。再接続しています",
        "connecting": "PBXに接続しています",
    },
}


def figure(value=None, *, since=None, level=None, limits=None):
    return {"value": value, "since": since, "level": level, "limits": limits}


def empty(*, lang="en", now=NOW):
    """Return the document of a feed that has not been synchronised yet."""
    feed = {"state": "connecting", "since": now, "text": WORDS[lang]["connecting"]}
    return {
        "seq": 1,
        "time": now,
        "feed": {**feed, "live": False, "was_live": False},
        "site": "acme",
        "zone": "Asia/Tokyo",
        "counting": {"since": None},
        "service_level_threshold": 20,
        "commands": False,
        "starts_calls": False,
        "sound": False,
        "figures": {},
        "queues": {},
        "agents": {},
        "calls": {},
        "parked": {},
        "day": [],
    }


def document(*, queues=6, agents_each=6, alarms=(), warnings=(), lang="en", now=NOW, names=None):
    """Return the document of a busy call centre.

    ``alarms`` and ``warnings`` are the numbers of the queues whose longest wait has that level.
    """
    random_ = random.Random(1)
    doc = empty(lang=lang, now=now)
    doc["feed"] = {
        "state": "live",
        "since": now - 3 * 60 * MINUTE,
        "text": WORDS[lang]["feed"],
        "live": True,
        "was_live": True,
    }
    doc["counting"]["since"] = now - 185 * MINUTE - 12 * SECOND
    for number in range(queues):
        level = "alarm" if number in alarms else "warning" if number in warnings else "ok"
        _add_queue(
            doc, number, level, agents_each=agents_each, lang=lang, random_=random_, names=names
        )
    _sum_up(doc, alarms, warnings)
    doc["parked"] = {
        "1": _parked("901", _caller(1), _name(NAMES, lang, 2, names), now - 42 * SECOND),
        "2": _parked("998", _caller(2), None, now - 75 * SECOND, "warning"),
    }
    start = now - now % QUARTER - 12 * QUARTER
    doc["day"] = [
        {"start": start + index * QUARTER, "offered": a + b, "answered": a, "abandoned": b}
        for index in range(13)
        for a, b in [(random_.randrange(4, 22), random_.randrange(4))]
    ]
    return copy.deepcopy(doc)


def _name(table, lang, number, names):
    pool = names or table[lang]
    text = pool[number % len(pool)]
    return text if number < len(pool) else f"{text} {number // len(pool) + 1}"


def _caller(number):
    return f"03-5555-{1000 + number * 37 % 9000:04}"


def _parked(slot, caller, by, since, level=None):
    return {"slot": slot, "caller": caller, "by": by, "since": since, "level": level, "call": None}


def _add_queue(doc, number, level, *, agents_each, lang, random_, names):
    now = doc["time"]
    longest = {"alarm": 151, "warning": 78, "ok": 24}[level]
    waiting = 0 if level == "ok" and number % 3 == 2 else {"alarm": 5, "warning": 3}.get(level, 1)
    queue, title = f"q{number}", _name(QUEUES, lang, number, names)
    keys = []
    for index in range(agents_each):
        key = f"u{number}-{index}"
        state = STATES[(index + number) % len(STATES)]
        talks = state in {"talking", "held"}
        since = now - random_.randrange(5, 900) * SECOND
        agent_name = _name(NAMES, lang, number * agents_each + index, names)
        keys.append(key)
        doc["agents"][key] = {
            "name": agent_name,
            "extension": str(200 + number * agents_each + index),
            "state": state,
            "with": _caller(number * 10 + index) if talks else None,
            "since": None if state == "offline" else since,
            "queues": [queue],
            "handled": random_.randrange(30),
            "missed": random_.randrange(3),
            "level": "warning" if talks and now - since > 600 * SECOND else None,
            "call": f"c{number}-{index}" if talks else None,
            "channel": None,
        }
        if talks:
            doc["calls"][f"c{number}-{index}"] = _call(
                _caller(number * 10 + index),
                agent_name,
                queue=queue,
                title=title,
                since=since,
                lang=lang,
                random_=random_,
            )
    waits = sorted((longest - 11 * place for place in range(waiting)), reverse=True)
    waiters = [
        {
            "since": now - wait * SECOND,
            "name": _caller(number * 10 + 5 + place),
            "call": f"w{place}",
        }
        for place, wait in enumerate(waits)
    ]
    for place, waiter in enumerate(waiters):
        doc["calls"][f"w{number}-{place}"] = _call(
            waiter["name"],
            None,
            queue=queue,
            title=title,
            since=waiter["since"],
            lang=lang,
            random_=random_,
        )
    offered = 18 + number * 7 % 40
    abandoned = number % 3 + (level == "alarm") * 2
    answered = offered - abandoned - waiting
    doc["queues"][queue] = {
        "name": title,
        "waiting": waiting,
        "longest_since": waiters[0]["since"] if waiters else None,
        "waiters": waiters[:6],
        "offered": offered,
        "answered": answered,
        "abandoned": abandoned,
        "service_level": {"alarm": 0.71, "warning": 0.84}.get(level, 0.93),
        "abandon_rate": abandoned / (answered + abandoned),
        "average_answer": 11.5,
        "levels": {
            "longest_wait": level,
            "service_level": "alarm" if level == "alarm" else "ok",
            "abandon_rate": "ok",
        },
        "agents": keys,
    }


def _call(caller, agent, *, queue, title, since, lang, random_):
    words = WORDS[lang]
    menu, wait, ring = (random_.randrange(4, 40) * SECOND for _ in range(3))
    kinds = [("ivr", menu, ""), ("queued", wait, title)]
    if agent:
        kinds += [("ringing", ring, agent)]
    else:
        kinds = kinds[:1]
    started = since - sum(length for _, length, _ in kinds)
    phases, at = [], started
    for kind, length, who in kinds:
        phase = {"kind": kind, "started": at, "ended": at + length}
        phases.append({**phase, "text": words[kind].format(who)})
        at += length
    last, who = ("talking", agent) if agent else ("queued", title)
    phases.append({"kind": last, "started": at, "ended": None, "text": words[last].format(who)})
    return {
        "direction": "inbound",
        "caller": caller,
        "with": agent,
        "queue": queue,
        "called": "0120-000-100",
        "started": started,
        "phases": phases,
        "level": None,
        "channel": None,
    }


def _sum_up(doc, alarms, warnings):
    rows = list(doc["queues"].values())
    total = {name: sum(row[name] for row in rows) for name in ("waiting", "offered", "answered")}
    abandoned = sum(row["abandoned"] for row in rows)
    starts = [row["longest_since"] for row in rows if row["longest_since"]]
    level = "alarm" if alarms else "warning" if warnings else "ok"
    states = [agent["state"] for agent in doc["agents"].values()]
    rate = abandoned / max(1, abandoned + total["answered"])
    doc["figures"] = {
        "waiting": figure(total["waiting"]),
        "longest_wait": figure(since=min(starts, default=None), level=level, limits=[60, 120]),
        "talking": figure(states.count("talking")),
        "free": figure(states.count("free")),
        "service_level": figure(
            0.78 if alarms else 0.91, level="warning" if alarms else "ok", limits=[0.8, 0.75]
        ),
        "offered": figure(total["offered"]),
        "answered": figure(total["answered"]),
        "abandoned": figure(abandoned),
        "abandon_rate": figure(rate, level="ok", limits=[0.05, 0.08]),
        "average_answer": figure(11.5, level="ok", limits=[20, 40]),
    }
