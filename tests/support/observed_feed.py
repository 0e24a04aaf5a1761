"""Feed with a given mirror, for tests of metrics."""

from __future__ import annotations

from basix_ws_cti import Group, GroupMember, InitialInfo, Mirror, Synced, Terminal, User
from basix_ws_cti.session.status import Stats

from .hostile_texts import HOSTILE

# A label may not contain these as they are; a name may.
NAMES = [
    *(text for text, _ in HOSTILE.values()),
    'quote " backslash \\ brace } comma ,',
    "# HELP basix_users no",
    "\ud800 lone surrogate",
    "x" * 100_000,
    "",
    None,
]


class ObservedFeed:
    """Feed in which nothing happens by itself."""

    def __init__(self, mirror=None):
        self.mirror = Mirror() if mirror is None else mirror
        self.calls = {}
        self.state = Synced()
        self.is_settled = True


def large_mirror(*, users, queues):
    """Return a mirror with hostile names; each queue has ten members, each user a telephone."""
    mirror = Mirror()
    elements = {
        "user": [
            User(id=10_000_000 + n, label=f"person{n}", email=f"person{n}@example.com")
            for n in range(users)
        ],
        "group": [Group(id=900_000 + n, label=NAMES[n % len(NAMES)]) for n in range(queues)],
        "group_member": [
            GroupMember(id=n, group_id=900_000 + n // 10, user_id=10_000_000 + n % users)
            for n in range(10 * queues)
        ],
        "terminal": [
            Terminal(id=n, assoc_user_id=10_000_000 + n, registered=n % 2) for n in range(users)
        ],
    }
    for kind, rows in elements.items():
        mirror.apply(InitialInfo(kind, {row.key: row for row in rows}))
    return mirror


def feed_statistics():
    """Return statistics of a feed that was interrupted once."""
    return Stats(
        frames=5,
        bytes=600,
        messages={"InfoEvent": 3, "InitialInfo": 2},
        connects=2,
        reconnects=1,
        gaps=1,
        bad_frames=0,
        missed=0,
        lag=4,
        last_frame_age=0.5,
    )
