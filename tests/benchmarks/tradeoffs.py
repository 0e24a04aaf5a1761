"""Performance trade-offs in the code, as multiples of simple implementations."""

from __future__ import annotations

import struct
from typing import Any

import attrs
import workload
from measure import Row, Size, calling, rows, take_turns
from parsing import reader

from basix_ws_cti import Channel
from basix_ws_cti._internal.codegen import constructor
from basix_ws_cti.terms import _VALUES, atom_cache, decode

_u32 = struct.Struct(">xI").unpack_from
_i32 = struct.Struct(">xi").unpack_from


def recursive(buf: bytes, pos: int) -> tuple[Any, int]:
    """Return the term at ``pos`` and its end, with one recursive call for each term.

    ``terms`` does the same in one loop. This supports only the tags that occur in the events, and
    has no limits and no error messages.
    """
    tag = buf[pos]
    if tag == 100:
        end = pos + 3 + buf[pos + 2]
        return atom_cache[buf[pos:end]], end
    if tag == 109:
        end = pos + 5 + _u32(buf, pos)[0]
        return buf[pos + 5 : end].decode(), end
    if tag == 104:
        items = []
        count, pos = buf[pos + 1], pos + 2
        for _ in range(count):
            value, pos = recursive(buf, pos)
            items.append(value)
        return tuple(items), pos
    if tag == 98:
        return _i32(buf, pos)[0], pos + 5
    if tag == 110:
        end = pos + 3 + buf[pos + 1]
        return int.from_bytes(buf[pos + 3 : end], "little"), end
    if tag == 107:
        end = pos + 3 + (buf[pos + 1] << 8 | buf[pos + 2])
        return buf[pos + 3 : end].decode(), end
    if tag == 97:
        return buf[pos + 1], pos + 2
    raise ValueError(f"tag {tag}")


def atom(encoded: bytes) -> object:
    """Decode an atom without a cache."""
    name = encoded[3:].decode("latin-1")
    return _VALUES.get(name, name)


def tradeoffs(size: Size, _: int) -> list[Row]:
    """Each performance trade-off against the simple implementation."""
    session = workload.bench(size.events)
    frames = session.events
    handle = reader(session.opening, frames)
    parser: Any = handle.__self__
    channels = [parser.parse(frame).element for frame in frames]
    fields = [field.name for field in attrs.fields(Channel)]
    named = [{name: getattr(channel, name) for name in fields} for channel in channels]
    make = constructor(Channel)
    atoms = [encoded for encoded in atom_cache if encoded[0] == 100] * (size.events // 10)
    pairs = {
        "an event": {
            "slow path": calling(parser._read_slow, frames),  # noqa: SLF001 - parse() would avoid it
            "fast path": calling(parser.parse, frames),
        },
        "an event's terms": {
            "a call for each": calling(lambda frame: recursive(frame, 1), frames),
            "one loop, with limits": calling(decode, frames),
        },
        "a Channel": {
            "attrs' own __init__": calling(lambda values: Channel(**values), named),
            "a generated function": calling(
                lambda values: make(*values), [[*values.values()] for values in named]
            ),
        },
        "an atom": {
            "decoded": calling(atom, atoms),
            "looked up by its bytes": calling(atom_cache.__getitem__, atoms),
        },
    }
    table = []
    for what, pair in pairs.items():
        simple = next(iter(pair))
        table += rows("tradeoffs", simple, take_turns(pair, size.rounds), prefix=f"{what}: ")
    return table
