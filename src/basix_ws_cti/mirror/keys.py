"""Keys of elements, as a peer may craft them.

Python hashes text with a secret, but an integer with itself: who chooses the numbers chooses
where a dict looks for them. ``are_crafted`` tells numbers chosen to make a dict slow from
honest ones; ``hidden`` is for an index where that does not happen.
"""

from __future__ import annotations

from itertools import islice
from operator import lt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# A dict whose keys are in each other's way: 60,000 take seconds, in a frame of 700 kB. Of
# 50,000 honest ones, those in a row take no steps, random ones two, and the worst that make
# sense (counted in the upper half of 64 bits) thirty.
MAX_STEPS = 64

# So few numbers cost nothing worth a check, whatever they are.
FEW_NUMBERS = 1000

_WORD = 2**64 - 1
_MODULUS = 2**61 - 1  # of an integer's hash


def hidden(key: object) -> object:
    """What stands for ``key`` in a dict whose places nobody can foresee."""
    if type(key) is str:
        # A text that could be taken for such a number has the mark twice.
        return f"\0{key}" if key[:1] == "\0" else key
    return f"\0{key:d}" if isinstance(key, int) else key


def shown(at: Any) -> Any:
    """The key that ``at`` stands for: ``hidden`` the other way round."""
    if not isinstance(at, str) or at[:1] != "\0":
        return at
    return at[1:] if at[1:2] == "\0" else int(at[1:])


def are_crafted(keys: Sequence[int | str]) -> bool:  # noqa: C901 - a dict, in small
    """Whether a dict of ``keys``, put in one by one, takes over MAX_STEPS steps for each.

    A step is a look at a place that another key has taken. Done as CPython does it: a dict has
    a power of two of places, at most two thirds of them taken, and doubles; where to look
    first are the lowest bits of the hash, and the higher ones say how to go on.
    """
    numbers = sum(type(key) is int for key in keys)
    if numbers < FEW_NUMBERS or (numbers == len(keys) and _are_in_a_row(keys)):  # type: ignore[arg-type]
        return False
    steps_left = MAX_STEPS * len(keys)
    size = 8
    places: list[int | str | None] = [None] * size
    distinct: list[int | str] = []

    def place(key: int | str) -> bool:
        nonlocal steps_left
        rest = hash(key) & _WORD
        at = rest & (size - 1)
        while (there := places[at]) is not None:
            if there == key:
                return False
            steps_left -= 1
            rest >>= 5
            at = (at * 5 + rest + 1) & (size - 1)
        places[at] = key
        return True

    for key in keys:
        if place(key):
            distinct.append(key)
            if len(distinct) == size * 2 // 3:
                size *= 2
                places = [None] * size
                for earlier in distinct:
                    place(earlier)
                    if steps_left < 0:
                        return True
        if steps_left < 0:
            return True
    return False


def _are_in_a_row(numbers: Sequence[int]) -> bool:
    """Whether they rise, with so few gaps that a growing dict has a place for each."""
    count = len(numbers)
    if numbers[0] < 0 or numbers[-1] >= _MODULUS:
        return False
    size = 8
    while size // 3 < count:  # while a dict of half the size would not do
        last = min(size * 2 // 3, count) - 1
        if numbers[last] - numbers[0] >= size:
            return False
        size *= 2
    return all(map(lt, numbers, islice(numbers, 1, None)))
