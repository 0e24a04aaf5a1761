"""Numbers that make a dict slow: what a peer would choose for ids."""

from __future__ import annotations

import random


def places(count: int) -> int:
    """How many places CPython's dict has for ``count`` keys put in one by one."""
    size = 8
    while size * 2 // 3 < count:
        size *= 2
    return size


def crafted_ids(count: int, bits: int = 31) -> list[int]:
    """Numbers below ``2**bits``, every tenth of which is looked for at half of all the others.

    From a taken place, a dict goes on to the fivefold and one, once the hash is used up. So
    most are their own places along that way, and the others such as meet only those.
    """
    size = places(count)
    way = [1]
    while len(way) < count * 9 // 10:
        way.append((way[-1] * 5 + 1) % size)
    taken = set(way)
    choose = random.Random(count)
    ids = list(way)
    while len(ids) < count:
        number = rest = choose.getrandbits(bits)
        at = number % size
        while at in taken and rest:
            rest >>= 5
            at = (at * 5 + rest + 1) % size
        if at in taken:
            ids.append(number)
    return ids
