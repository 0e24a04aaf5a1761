"""Random terms for the fields of elements, cheap to make in thousands."""

from __future__ import annotations

from .etf_encoder import BERT_NIL, Atom, Charlist

TS = 1546839040024071

_WORDS = ("user", "end_user", "group", "ring", "calling", "park", "ivr", "pstn", "new", "inbound")
_SCALARS = (
    *(None, True, False, 0, 7, -1, TS, 2**63, 2**70, 1.5, "", "text", "東京", b"caf\xe9", BERT_NIL),
    *("東京".encode()[:-1], "7*A+B%2A*C**", "_MANY_:2|1*a|*", "a;b", Charlist("abc"), Charlist("")),
    *(Charlist("東京"), *map(Atom, _WORDS)),
    (Atom("bert"), Atom("time"), 1546, 839040, 24071),
    (Atom("bert"), Atom("regex"), "^a", []),
)


def random_term(draw, depth=3):
    """Return a term; ``draw`` is a ``random.Random``, and ``depth`` bounds its levels."""
    shape = draw.randrange(8) if depth else 0
    if shape < 4:
        return draw.choice(_SCALARS)
    items = [random_term(draw, depth - 1) for _ in range(draw.randrange(9))]
    if shape == 4:
        return items
    if shape == 5:
        return {"a": items}
    if shape == 6:  # like a state
        return (draw.choice([TS, None, [], TS]), Atom(draw.choice(_WORDS)), *items)
    return tuple(items)
