"""Terms in Erlang's format: edge cases, and the intended differences of ``terms.decode``."""

import json
import struct
import subprocess
import zlib
from contextlib import contextmanager
from pathlib import Path

from basix_ws_cti.exceptions import DecodeError
from basix_ws_cti.terms import decode

from .normal_forms import (
    BY_TAG,
    COMPOUND,
    ESCRIPT,
    FOREIGN,
    IMPROPER,
    KEY_KINDS,
    KEYS,
    LIMIT,
    OVERREAD,
    SPLIT,
    TRAILING,
    NoValueError,
    exact,
    value_of,
)
from .sizes import NIGHTLY

HERE = Path(__file__).parents[1]
COMMITTED = HERE / "data" / "erlang_terms.tsv.gz"

# One run of the escript stays below the million atoms that an Erlang node can hold.
TERMS_PER_RUN = 20_000
RUNS = 15 if NIGHTLY else 1


REFUSED = "refused"


def verdict(frame):
    """Return the exact form of the decoded value of ``frame``, or REFUSED."""
    try:
        return exact(decode(frame))
    except DecodeError:
        return REFUSED


def difference(frame, normal):
    """Return a description of a wrong value of decode for ``frame``, or None."""
    try:
        expected = exact(value_of(normal))
    except NoValueError:
        expected = REFUSED
    if expected == verdict(frame) == REFUSED:
        return None
    try:
        found = decode(frame)
        if exact(found) == expected:
            return None
    except Exception as error:  # noqa: BLE001 - any exception is a finding
        found = error
    return f"{frame.hex():.2000}\n  Erlang: {json.dumps(normal):.2000}\n  decode: {found!r:.2000}"


def differences(lines):
    """Return the first five differences in lines of the escript, and the number of lines."""
    found = []
    count = 0
    for count, line in enumerate(lines, 1):
        frame, normal = line.split("\t")
        problem = difference(bytes.fromhex(frame), json.loads(normal))
        if problem and len(found) < 5:
            found.append(f"line {count}: {problem}")
    return found, count


# Frames that Erlang wrote


def spread(size):
    """Return the positions at which to cut a frame: all, or 100 of a long frame."""
    return range(size) if size <= 300 else [size * step // 100 for step in range(100)]


@contextmanager
def erlang_terms(seed, count):
    """Run an escript that writes ``count`` terms, and yield its lines."""
    command = ["escript", ESCRIPT, str(seed), str(count), "full"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="ascii") as run:
        try:
            yield run.stdout
            assert run.wait() == 0, f"the escript failed (seed {seed})"
        finally:
            run.kill()


# Frames made by hand, and Erlang's verdict on them


def frame(term):
    return b"\x83" + term


def atom(name):
    return b"w" + len(name).to_bytes(1, "big") + name


def long_atom(tag, name):
    return bytes([tag]) + len(name).to_bytes(2, "big") + name


def short_atom(tag, name):
    return bytes([tag]) + len(name).to_bytes(1, "big") + name


def binary(raw):
    return b"m" + len(raw).to_bytes(4, "big") + raw


def charlist(raw):
    return b"k" + len(raw).to_bytes(2, "big") + raw


def small(number):
    return b"a" + number.to_bytes(1, "big")


def int32(number):
    return b"b" + number.to_bytes(4, "big", signed=True)


def big(sign, magnitude, size=None):
    size = len(magnitude) if size is None else size
    return b"n" + bytes([size, sign]) + magnitude


def large_big(sign, magnitude, size=None):
    size = len(magnitude) if size is None else size
    return b"o" + size.to_bytes(4, "big") + bytes([sign]) + magnitude


def float_of(number):
    return b"F" + struct.pack(">d", number)


def new_float(bits):
    return b"F" + bytes.fromhex(bits)


def old_float(text):
    return b"c" + text.ljust(31, b"\0")


def tuple_of(*elements):
    return b"h" + len(elements).to_bytes(1, "big") + b"".join(elements)


def large_tuple(*elements):
    return b"i" + len(elements).to_bytes(4, "big") + b"".join(elements)


def list_of(*elements, tail=b"j"):
    return b"l" + len(elements).to_bytes(4, "big") + b"".join(elements) + tail


def map_of(*pairs):
    return b"t" + len(pairs).to_bytes(4, "big") + b"".join(key + item for key, item in pairs)


def bert(*elements):
    return tuple_of(atom(b"bert"), *elements)


def compressed(term, declared=None, data=None):
    declared = len(term) if declared is None else declared
    return b"P" + declared.to_bytes(4, "big") + (zlib.compress(term) if data is None else data)


def deflated(term, wbits=15, dictionary=None, flush=zlib.Z_FINISH):
    more = () if dictionary is None else (dictionary,)
    packer = zlib.compressobj(6, zlib.DEFLATED, wbits, 8, zlib.Z_DEFAULT_STRATEGY, *more)
    return packer.compress(term) + packer.flush(flush)


ONE = small(1)
X, Y, TRUE = atom(b"x"), atom(b"y"), atom(b"true")
NIL = b"j"
EMPTY_LIST_HEADER = b"l\0\0\0\0"  # LIST_EXT with zero elements; its tail comes next
HIRAGANA, FACE = "\u3042".encode(), "\U0001f600".encode()
PLAIN = list_of(*[X] * 50)
PLAIN_ZLIB = zlib.compress(PLAIN)
WITHOUT_NUL = b"c" + b"1.5".ljust(31, b"0")
NODE = atom(b"n@h")


def words(text):
    return text.split()


def integer_frames():
    for name, make in (("small big", big), ("large big", large_big)):
        yield f"{name} of no bytes", make(0, b"")
        yield f"{name} of no bytes, negative", make(1, b"")
        yield f"{name} of no bytes, sign 255", make(255, b"")
        yield f"{name} zero", make(0, b"\0")
        yield f"{name} minus zero", make(1, b"\0")
        yield f"{name} of eight zeros", make(0, b"\0" * 8)
        yield f"{name} of 200 zeros, negative", make(1, b"\0" * 200)
        yield f"{name} that fits one byte", make(0, b"\5")
        yield f"{name} sign 2", make(2, b"\5")
        yield f"{name} sign 255", make(255, b"\5\1")
        yield f"{name} with zeros on top", make(0, b"\5\0\0\0")
        yield f"{name} with a word of zeros on top", make(1, b"\5" + b"\0" * 8)
        yield f"{name} of 255 bytes, all but one zero", make(0, b"\1" + b"\0" * 254)
        yield f"{name} of 255 bytes", make(2, b"\xff" * 255)
        yield f"{name} minus 2**63", make(1, b"\0" * 7 + b"\x80")
        yield f"{name} 2**64 - 1", make(0, b"\xff" * 8)
        yield f"{name} 2**64", make(0, b"\0" * 8 + b"\1")
        yield f"{name} cut", make(0, b"\1\2", 3)
        yield f"{name} without a sign", make(0, b"", 1)[:-1]
    yield "large big of 1024 bytes", large_big(0, b"\xff" * 1024)
    yield "large big of 4 GB", large_big(0, b"\1", 2**32 - 1)
    yield "32 bits that fit 8", b"b\0\0\0\1"
    yield "32 bits, -1", b"b\xff\xff\xff\xff"
    yield "32 bits, the least", b"b\x80\0\0\0"
    yield "32 bits, cut", b"b\0\0\1"
    yield "8 bits, the most", b"a\xff"
    yield "8 bits, cut", b"a"


GOOD_FLOATS = words("""
    1.5 +1.5 -1.5 1,5 -1,5e2 +1,5E-2 1.5e3 1.5E-3 1.5e+3 0.0 -0.0 00.10 1.0e-400 -1.0e-400
    4.9e-324 2.4e-324 2.5e-324 1.0e-310 2.2250738585072011e-308 1.7976931348623157e308
    1.7976931348623158e308 1.50000000000000000000e+00 99999999999999999999.0 1.5e0000000000000003
    0.0e99999999999999999999 1.5e-99999999999999999999 000000000000000000001.5
    9007199254740993.0 0.1 1.0e23 1.5000000000000000000000000000
""")

BAD_FLOATS = words("""
    inf -inf +inf nan -nan infinity 1_0.0 1.0_0 1.5e1_0 15 1e5 1. 1.e5 .5 -.5 . , 1.5e 1.5e+ 1.5e+-3
    1.5f 1.5L 1.5d3 0x1.8p1 0x1.8 +-1.5 ++1.5 -- 1.5.5 1,5,5 1..5 1.,5 1.5e1.5 1.5e1,5 (1.5) 1.5;
    1'5.0 e5 1.0e400 -1.0e400 1,5e400 1.7976931348623159e308 1.5e99999999999999999999
    \u0661.5 \uff11.5
""")


def float_frames():
    for text in GOOD_FLOATS + BAD_FLOATS:
        yield f"float text {text!a}", old_float(text.encode())
    for text in (b"", b" 1.5", b"1.5 ", b"\t1.5", b"1.5\n", b"1.5\xa0", b"1 .5", b"1.5e 3"):
        yield f"float text {text}", old_float(text)
    yield "float text, garbage after NUL", old_float(b"1.5\0xyz")
    yield "float text, another number after NUL", old_float(b"1.5\0 2.5")
    yield "float text, only after NUL", old_float(b"\x001.5")
    yield "float text, NUL inside", old_float(b"1\0.5")
    # Without a NUL, Erlang reads on into the next term and finds no digit there.
    yield "float text without NUL", tuple_of(WITHOUT_NUL, ONE)
    yield "float text, cut", old_float(b"1.5")[:-1]
    for bits in words("""
        7ff0000000000000 fff0000000000000 7ff8000000000000 fff8000000000000 7ff0000000000001
        ffffffffffffffff 7fefffffffffffff 8000000000000000 0000000000000001 800fffffffffffff
    """):
        yield f"float {bits}", new_float(bits)
        yield f"float {bits} in a list", list_of(new_float(bits))
    yield "float, cut", float_of(1.0)[:-1]


def atom_frames():
    for tag in (100, 115, 118, 119):
        make = long_atom if tag in {100, 118} else short_atom
        for size in (0, 1, 254, 255):
            yield f"{tag}: {size} characters", make(tag, b"x" * size)
        yield f"{tag}: cut", make(tag, b"xyz")[:-1]
        yield f"{tag}: cut before the name", make(tag, b"xyz")[:-3]
        yield f"{tag}: cut inside the length", make(tag, b"xyz")[:1]
        for name in (b"true", b"false", b"undefined", b"bert", b"nil", b"a b", b"\0", b"\x7f"):
            yield f"{tag}: {name}", make(tag, name)
        for name in ATOM_BYTES:
            yield f"{tag}: bytes {name.hex()}", make(tag, name)
    for size in (256, 257, 1000, 65535):
        yield f"100: {size} characters", long_atom(100, b"x" * size)
        yield f"118: {size} characters", long_atom(118, b"x" * size)
    for size in (254, 255, 256, 1000):
        yield f"100: {size} of Latin-1", long_atom(100, b"\xe9" * size)
        yield f"118: {size} of two bytes", long_atom(118, b"\xc3\xa9" * size)
        yield f"118: {size} of three bytes", long_atom(118, HIRAGANA * size)
        yield f"118: {size} of four bytes", long_atom(118, FACE * size)
    yield "115: 255 of Latin-1", short_atom(115, b"\xe9" * 255)
    yield "119: 127 of two bytes", short_atom(119, b"\xc3\xa9" * 127)
    yield "119: 85 of three bytes", short_atom(119, HIRAGANA * 85)
    yield "119: 63 of four bytes", short_atom(119, FACE * 63)
    yield "119: 63 of four bytes, one cut", short_atom(119, FACE * 63 + FACE[:3])
    yield "118: bad after 255 good ones", long_atom(118, b"x" * 255 + b"\xff")


# Invalid UTF-8 (truncated, overlong, a lone surrogate, above U+10FFFF), and valid UTF-8 of unusual
# characters (non-characters, controls, a combining accent, a byte order mark).
ATOM_BYTES = [
    bytes.fromhex(name)
    for name in words("""
        ff 80 c3 e9 e381 c080 c1bf e08080 e09fbf eda080 edbfbf f4908080 f0808080 f888808080
        61ff e38182e3
        efbfbe efbfbf efb790 f48fbfbf c280 dfbf e0a080 f0908080 61cc81 efbbbf78 c3a9 e38182
    """)
]


def container_frames():
    yield "list of no elements", EMPTY_LIST_HEADER + NIL
    yield "list of no elements in a list", list_of(EMPTY_LIST_HEADER + NIL)
    yield "list of no elements, no tail", EMPTY_LIST_HEADER
    yield "list without a tail", list_of(X, tail=b"")
    yield "list with a binary as its tail", list_of(X, tail=binary(b"x"))
    yield "list with an empty binary as its tail", list_of(X, Y, tail=binary(b""))
    yield "list with a Latin-1 binary as its tail", tuple_of(list_of(X, tail=binary(b"\xe9")), X)
    yield "list with an incomplete binary as its tail", list_of(X, tail=b"m\0\0\0\2x")
    yield "binary that ends inside a character", binary("山田".encode()[:-1])
    yield "charlist that ends inside a character", charlist("ü山".encode()[:-2])
    for tail in (b"\0", b"\xff", b"a", b"h"):
        yield f"list whose tail is the byte {tail[0]}", list_of(X, tail=tail)
    yield "list of 2**32 - 1", b"l\xff\xff\xff\xff"
    yield "list cut inside its count", b"l\0\0\0"
    yield "large tuple of 0", large_tuple()
    yield "large tuple of 0 in a tuple", tuple_of(large_tuple(), ONE)
    yield "large tuple of 1", large_tuple(ONE)
    yield "large tuple, short by one", b"i\0\0\0\2" + ONE
    yield "large tuple of 2**32 - 1", b"i\xff\xff\xff\xff"
    yield "large tuple of 2**24", b"i\1\0\0\0" + ONE
    yield "tuple of 0", tuple_of()
    yield "tuple, short by one", b"h\2" + ONE
    yield "tuple without arity", b"h"
    yield "binary of 0", binary(b"")
    yield "binary, short by one", b"m\0\0\0\2x"
    yield "binary of 4 GB", b"m\xff\xff\xff\xff"
    yield "charlist, short by one", b"k\0\2x"
    yield "charlist cut inside its length", b"k\0"
    yield "map of 0", map_of()
    yield "map, its keys not in order", map_of((small(2), X), (ONE, Y))
    yield "map of 40, not in order", map_of(*[(small(40 - n), small(n)) for n in range(40)])
    yield "map of 128 numbers", map_of(*[(small(n), X) for n in range(128)])
    yield "map, a key twice", map_of((ONE, X), (ONE, X))
    yield "map, a key twice, two values", map_of((ONE, X), (ONE, Y))
    yield "map of 41, a key twice", map_of(*[(small(n), X) for n in range(40)], (small(7), X))
    yield "map, an integer twice, two tags", map_of((ONE, X), (b"b\0\0\0\1", Y))
    yield "map, an integer twice, one big", map_of((ONE, X), (big(0, b"\1"), Y))
    yield "map, an atom twice, two tags", map_of((long_atom(100, b"x"), X), (X, Y))
    yield "map, a float key", map_of((float_of(1.0), X))
    yield "map without its last value", map_of((ONE, X), (small(2), b""))
    yield "map of 2**32 - 1", b"t\xff\xff\xff\xff"
    yield (
        "map, a Latin-1 atom twice, two tags",
        map_of((long_atom(100, b"\xe9"), X), (atom(b"\xc3\xa9"), Y)),
    )


def compressed_frames():
    yield "compressed", compressed(PLAIN)
    yield "compressed, though longer by it", compressed(ONE)
    yield "compressed at level 0", compressed(PLAIN, data=zlib.compress(PLAIN, 0))
    yield (
        "compressed with a full flush",
        compressed(PLAIN, data=deflated(PLAIN, flush=zlib.Z_FULL_FLUSH)),
    )
    yield "compressed, a byte too few declared", compressed(PLAIN, len(PLAIN) - 1)
    yield "compressed, a byte too many declared", compressed(PLAIN, len(PLAIN) + 1)
    yield "compressed, nothing declared", compressed(PLAIN, 0)
    yield "compressed, nothing at all", compressed(b"")
    yield "compressed, 2 GB declared", compressed(PLAIN, 2**31)
    yield "compressed, 4 GB declared", compressed(PLAIN, 2**32 - 1)
    yield "compressed, only the count of a list declared", compressed(PLAIN, 5)
    yield "compressed, its checksum missing", compressed(PLAIN, data=PLAIN_ZLIB[:-4])
    yield "compressed, its checksum cut", compressed(PLAIN, data=PLAIN_ZLIB[:-1])
    yield (
        "compressed, its checksum wrong",
        compressed(PLAIN, data=PLAIN_ZLIB[:-1] + bytes([PLAIN_ZLIB[-1] ^ 1])),
    )
    yield "compressed, cut", compressed(PLAIN, data=PLAIN_ZLIB[:-8])
    yield "compressed, no data", compressed(PLAIN, data=b"")
    yield "compressed, no size", b"P\0\0"
    yield "compressed, left open", compressed(PLAIN, data=deflated(PLAIN, flush=zlib.Z_SYNC_FLUSH))
    yield "compressed as gzip", compressed(PLAIN, data=deflated(PLAIN, wbits=31))
    yield "compressed without zlib's header", compressed(PLAIN, data=deflated(PLAIN, wbits=-15))
    yield "compressed with a dictionary", compressed(PLAIN, data=deflated(PLAIN, dictionary=PLAIN))
    yield "compressed in two streams", compressed(PLAIN * 2, data=PLAIN_ZLIB * 2)
    yield "compressed with a version byte inside", compressed(frame(PLAIN))
    yield "compressed twice", compressed(compressed(PLAIN))
    yield "compressed in a list", list_of(compressed(PLAIN))
    yield "compressed, invalid term", compressed(b"\xff" * 50)
    yield "compressed, half a term", compressed(PLAIN[:-1])


def compound_frames():
    # The compounds without arguments, in every pair of atom tags and either tuple
    makers = {100: long_atom, 115: short_atom, 118: long_atom, 119: short_atom}
    for first, make_first in makers.items():
        for second, make_second in makers.items():
            for name in (b"nil", b"true", b"false"):
                pair = make_first(first, b"bert"), make_second(second, name)
                yield f"{{bert,{name.decode()}}} by {first} and {second}", tuple_of(*pair)
                yield f"large {{bert,{name.decode()}}} by {first} and {second}", large_tuple(*pair)
        head = make_first(first, b"bert")
        pairs = list_of(tuple_of(X, ONE))
        for name, make in (("tuple", tuple_of), ("large tuple", large_tuple)):
            yield f"a dict by {first} in a {name}", make(head, make_first(first, b"dict"), pairs)
            yield (
                f"a string by {first} in a {name}",
                make(head, make_first(first, b"string"), make_first(first, b"utf8"), binary(b"x")),
            )
    yield (
        "a string by a large tuple, its encoding a charlist",
        large_tuple(
            atom(b"bert"), long_atom(118, b"string"), charlist(b"latin1"), charlist(b"\xe3\x81\x82")
        ),
    )
    yield "a string cut", bert(atom(b"string"), atom(b"utf8"), b"m\0\0\0\2x")
    yield "a dict cut", bert(atom(b"dict"), list_of(tuple_of(X, ONE), tail=b""))


def other_frames():
    yield "only a version byte", b""
    yield "two versions", frame(ONE)
    yield "a distribution header", b"D\0" + ONE
    read = {70, 80, *range(97, 101), *range(104, 112), 115, 116, 118, 119}
    for tag in sorted(set(range(256)) - read):
        # Too short for a pid, or any other term that the tag may stand for.
        yield f"tag {tag}", bytes([tag])
        # 73 to 75 are indexes into Erlang's own memory, which it would read. 77 is below.
        if tag not in {73, 74, 75, 77}:
            yield f"tag {tag} and zeros", bytes([tag, *bytes(40)])


EDGE_MAKERS = (
    integer_frames,
    float_frames,
    atom_frames,
    container_frames,
    compound_frames,
    compressed_frames,
    other_frames,
)
EDGES = {name: frame(term) for make in EDGE_MAKERS for name, term in make()} | {
    "no byte": b"",
    "no version": ONE,
    "version 130": b"\x82" + ONE,
    "version 132": b"\x84" + ONE,
}


# Intended differences between decode and Erlang

OTHER = ["other"]
BERT = ["a", b"bert".hex()]
A_X, A_Y, INT_1, FLOAT_1 = ["a", "78"], ["a", "79"], ["i", "1"], ["f", "3FF0000000000000"]
B_X, S_X = ["b", "78"], ["s", "78"]


def a_(name):
    return ["a", name.encode().hex().upper()]


def l_(*elements):
    return ["l", list(elements)]


def t_(*elements):
    return ["t", list(elements)]


def m_(*pairs):
    return ["m", [list(pair) for pair in pairs]]


def nested(levels, around, innermost):
    for _ in range(levels):
        innermost = around(innermost)
    return innermost


def trailing_bytes():
    fifty = l_(*[A_X] * 50)
    yield "a NUL after the term", ONE + b"\0", INT_1
    yield "a second term", ONE + ONE, INT_1
    yield "a second frame", ONE + frame(ONE), INT_1
    yield "a byte after an atom", X + b"\xff", A_X
    yield "a byte after the compressed data", compressed(PLAIN) + b"\0", fifty
    yield "a second zlib stream", compressed(PLAIN) + PLAIN_ZLIB, fifty
    yield "a byte after the term, compressed with it", compressed(PLAIN + b"\0"), fifty


def unterminated_float_texts():
    yield "31 digits, and a NUL after the term", WITHOUT_NUL + b"\0", ["f", "3FF8000000000000"]


def improper_lists():
    yield "an atom as the tail", list_of(X, tail=Y), ["dotted", [A_X], A_Y]
    yield "an integer as the tail", list_of(X, tail=ONE), ["dotted", [A_X], INT_1]
    yield "no elements and a binary as the tail", EMPTY_LIST_HEADER + binary(b"x"), B_X
    yield "a map as the tail", list_of(X, tail=map_of()), ["dotted", [A_X], m_()]
    yield "no elements and a tail: the tail alone", EMPTY_LIST_HEADER + ONE, INT_1


def split_lists():
    yield "a list as the tail", list_of(X, tail=list_of(Y)), l_(A_X, A_Y)
    yield "a charlist as the tail", list_of(X, tail=charlist(b"y")), l_(A_X, ["i", "121"])
    yield "an empty charlist as the tail", list_of(X, tail=charlist(b"")), l_(A_X)
    yield "a list of no elements as the tail", list_of(X, tail=EMPTY_LIST_HEADER + NIL), l_(A_X)
    yield "no elements, then a list", EMPTY_LIST_HEADER + list_of(X), l_(A_X)
    yield "no elements, then a charlist", EMPTY_LIST_HEADER + charlist(b"x"), S_X


def foreign_terms():
    new_pid = b"X" + NODE + bytes(12)
    yield "a bit string", b"M\0\0\0\1\3\xa0", OTHER
    yield "a bit string of no bytes", b"M" + bytes(5), ["b", ""]
    yield "a bit string of whole bytes", b"M\0\0\0\1\x08x", B_X
    yield "a pid", b"g" + NODE + bytes(9), OTHER
    yield "a new pid", new_pid, OTHER
    yield "a port", b"f" + NODE + bytes(5), OTHER
    yield "a new port", b"Y" + NODE + bytes(8), OTHER
    yield "a 64-bit port", b"x" + NODE + bytes(12), OTHER
    yield "a reference", b"e" + NODE + bytes(5), OTHER
    yield "a new reference", b"r\0\1" + NODE + bytes(5), OTHER
    yield "a newer reference", b"Z\0\1" + NODE + bytes(8), OTHER
    yield "an external fun", b"q" + atom(b"lists") + atom(b"map") + small(2), OTHER
    # Arity, uniq, index, number of free variables; module, old index, old uniq, pid
    fun = b"\0" + bytes(16 + 4 + 4) + X + small(0) + small(0) + new_pid
    yield "a fun", b"p" + (4 + len(fun)).to_bytes(4, "big") + fun, OTHER
    yield "a pid in a list", list_of(b"g" + NODE + bytes(9)), l_(OTHER)


def equal_keys():
    dict_of_two = bert(atom(b"dict"), list_of(tuple_of(X, X), tuple_of(X, Y)))
    yield "1 and 1.0", map_of((ONE, X), (float_of(1.0), Y)), m_((INT_1, A_X), (FLOAT_1, A_Y))
    yield "1 and true", map_of((ONE, X), (TRUE, Y)), m_((INT_1, A_X), (a_("true"), A_Y))
    yield "an atom and a binary", map_of((X, X), (binary(b"x"), Y)), m_((A_X, A_X), (B_X, A_Y))
    yield (
        "a charlist and a binary",
        map_of((charlist(b"x"), X), (binary(b"x"), Y)),
        m_((S_X, A_X), (B_X, A_Y)),
    )
    yield (
        "a text in UTF-8 and in Latin-1",
        map_of((binary(b"\xe9"), X), (binary(b"\xc3\xa9"), Y)),
        m_((["b", "E9"], A_X), (["b", "C3A9"], A_Y)),
    )
    yield (
        "undefined and {bert,nil}",
        map_of((atom(b"undefined"), X), (bert(atom(b"nil")), Y)),
        m_((a_("undefined"), A_X), (t_(BERT, a_("nil")), A_Y)),
    )
    yield (
        "a key twice in a bert dict",
        dict_of_two,
        t_(BERT, a_("dict"), l_(t_(A_X, A_X), t_(A_X, A_Y))),
    )


def unsupported_keys():
    yield "an empty list as a key", map_of((NIL, X)), m_((["nil"], A_X))
    yield "a list as a key", map_of((list_of(X), X)), m_((l_(A_X), A_X))
    yield "a tuple as a key", map_of((tuple_of(), X)), m_((t_(), A_X))
    yield "a map as a key", map_of((map_of(), X)), m_((m_(), A_X))


def malformed_compounds():
    yield "{bert}", bert(), t_(BERT)
    yield "{bert,x}", bert(X), t_(BERT, A_X)
    yield "{bert,1}", bert(ONE), t_(BERT, INT_1)
    yield "{bert,undefined}", bert(atom(b"undefined")), t_(BERT, a_("undefined"))
    yield "{bert,nil,x}", bert(atom(b"nil"), X), t_(BERT, a_("nil"), A_X)
    yield "{bert,true,x}", bert(TRUE, X), t_(BERT, a_("true"), A_X)
    yield "{bert,<<nil>>}", bert(binary(b"nil")), t_(BERT, ["b", b"nil".hex().upper()])
    yield "a malformed compound in a list", list_of(bert(X)), l_(t_(BERT, A_X))

    def dict_(pairs, normal):
        return bert(atom(b"dict"), pairs), t_(BERT, a_("dict"), normal)

    yield "a dict without pairs", bert(atom(b"dict")), t_(BERT, a_("dict"))
    yield "a dict of atoms", *dict_(list_of(X), l_(A_X))
    yield "a dict of lists", *dict_(list_of(list_of(X, Y)), l_(l_(A_X, A_Y)))
    yield "a dict of triples", *dict_(list_of(tuple_of(X, X, X)), l_(t_(A_X, A_X, A_X)))
    yield "a dict of a charlist", *dict_(charlist(b"x"), S_X)
    yield "a dict of a map", *dict_(map_of(), m_())
    # {bert,1} counts as a compound, not as a pair
    yield "a dict with the key bert", *dict_(list_of(bert(ONE)), l_(t_(BERT, INT_1)))

    def time_(parts, normals):
        return bert(atom(b"time"), *parts), t_(BERT, a_("time"), *normals)

    yield "a time of two parts", *time_([ONE, ONE], [INT_1, INT_1])
    yield "a time with a float", *time_([ONE, ONE, float_of(1.0)], [INT_1, INT_1, FLOAT_1])
    yield "a time with true", *time_([TRUE, ONE, ONE], [a_("true"), INT_1, INT_1])
    for name, parts in (
        ("after the year 9999", (253402, 300800, 0)),
        ("before the year 1", (-62135, -596800, -1)),
        ("beyond all years", (2**31 - 1, 0, 0)),
    ):
        yield f"a time {name}", *time_(map(int32, parts), [["i", str(part)] for part in parts])
    endless = big(0, b"\xff" * 255)
    normal = ["i", str(2 ** (8 * 255) - 1)]
    yield "a time of 255 bytes", *time_([endless, ONE, ONE], [normal, INT_1, INT_1])

    def string_(encoding, text, *normals):
        return bert(atom(b"string"), encoding, text), t_(BERT, a_("string"), *normals)

    utf8 = atom(b"utf8")
    yield "a string that is not its UTF-8", *string_(utf8, binary(b"\xe9"), a_("utf8"), ["b", "E9"])
    yield "a string in EUC-JP", *string_(atom(b"EUC-JP"), binary(b"x"), a_("EUC-JP"), B_X)
    yield "a string in 1", *string_(ONE, binary(b"x"), INT_1, B_X)
    yield "a string of an atom", *string_(utf8, X, a_("utf8"), A_X)
    yield "a string of an empty list", *string_(utf8, NIL, a_("utf8"), ["nil"])
    yield "a regex without options", bert(atom(b"regex"), binary(b"x")), t_(BERT, a_("regex"), B_X)


def beyond_limits():
    yield "an integer of 1025 bytes", large_big(0, b"\0" * 1024 + b"\1"), ["i", str(1 << 8192)]
    yield "1025 bytes, all but one zero", large_big(0, b"\1" + b"\0" * 1024), INT_1
    yield "65 tuples deep", nested(65, tuple_of, X), nested(65, t_, A_X)
    yield "65 lists deep", nested(65, list_of, X), nested(65, l_, A_X)
    numbers = range(129)
    yield (
        "129 keys that are numbers",
        map_of(*[(small(n), X) for n in numbers]),
        m_(*[(["i", str(n)], A_X) for n in numbers]),
    )
    yield "200,000 empty lists", list_of(*[NIL] * 200_000), l_(*[["nil"]] * 200_000)


def lists_of_bytes():
    yield "a list of bytes", list_of(ONE, small(255)), ["s", "01FF"], [1, 255]
    yield "a list of a byte as 32 bits", list_of(int32(1)), ["s", "01"], [1]
    yield "an empty charlist", charlist(b""), ["nil"], ""


# Name: reason, frame, normal form in Erlang, value in decode
DIFFERENCES = {
    name: (reason, frame(term), normal, *(value or [REFUSED]))
    for reason, entries in (
        (TRAILING, trailing_bytes()),
        (OVERREAD, unterminated_float_texts()),
        (IMPROPER, improper_lists()),
        (SPLIT, split_lists()),
        (FOREIGN, foreign_terms()),
        (KEYS, equal_keys()),
        (KEY_KINDS, unsupported_keys()),
        (COMPOUND, malformed_compounds()),
        (LIMIT, beyond_limits()),
        (BY_TAG, lists_of_bytes()),
    )
    for name, term, normal, *value in entries
}
