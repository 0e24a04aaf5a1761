"""Comparison of Erlang, ``decode`` and other decoders on mutated frames.

Erlang, ``decode`` and the reference decoder of these tests read each mutated frame. The reference
decoder must agree with Erlang: same verdict, same normal form, same number of bytes used. Then
``decode`` must agree with the reference decoder: it returns the value of the normal form, or it
refuses the frame at the byte where the reference decoder found the first of the listed reasons.
The texts of errors are not compared.

The comparison cannot see what a value does not show: whether a text was an atom, a binary or a
charlist, Latin-1 or UTF-8; whether None or a bool was an atom or a compound; whether a dict was a
map or a compound, and its order; how a time was split. The limit ``terms_per_byte`` is not tested:
no mutant is large enough to reach it.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections import Counter
from contextlib import nullcontext

import pytest
from support.cases import for_each
from support.erlang_terms import DIFFERENCES
from support.frame_mutations import Mutator, pools
from support.normal_forms import (
    BY_TAG,
    COMPOUND,
    FOREIGN,
    IMPROPER,
    KEY_KINDS,
    KEYS,
    LIMIT,
    OVERREAD,
    OWN_ATOMS,
    SPLIT,
    TRAILING,
    ask_erlang,
    exact,
    ordered,
    value_of,
)
from support.other_decoders import OTHERS, SIGN_BYTE, UNLISTED
from support.reference_decoder import Reading, erlang_normal_form
from support.sizes import NIGHTLY

from basix_ws_cti.exceptions import DecodeError
from basix_ws_cti.terms import decode

# One run of the escript keeps well below the million atoms that an Erlang node can hold.
MUTANTS_A_RUN = 10_000
RUNS = 32 if NIGHTLY else 1

REASONS = {
    TRAILING, OVERREAD, IMPROPER, SPLIT, FOREIGN, OWN_ATOMS,
    KEYS, KEY_KINDS, COMPOUND, LIMIT, BY_TAG,
}  # fmt: skip

REFUSED = ["refused"]
OTHER = '["other"]'
BOTH_READ, BOTH_REFUSE = "read by both, as the same value", "refused by both"
READ_BY_ALL = "read by all, as the same value"


pytestmark = pytest.mark.usefixtures("forget_atoms")


@pytest.fixture(autouse=True)
def _long_numbers():
    """Allow Python to print integers of any length."""
    digits = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    yield
    sys.set_int_max_str_digits(digits)


def compare(reading, in_erlang, read=decode):
    """Return the category of a frame; raise ``AssertionError`` for an unknown difference.

    ``reading`` is the result of the reference decoder, ``in_erlang`` that of Erlang.
    """
    normal, used = (None, None) if in_erlang == REFUSED else in_erlang
    if reading.is_certain:
        assert (normal is None) == (reading.malformed is not None), (
            "the reference decoder disagrees on the verdict"
        )
        if normal:
            assert ordered(erlang_normal_form(reading.normal)) == ordered(normal), (
                "the reference decoder read another value"
            )
            assert used == reading.used, "the reference decoder used other bytes"
    try:
        found = exact(read(reading.frame))
    except DecodeError as error:
        found = error
    if normal is None:
        assert isinstance(found, DecodeError), f"Erlang refuses it, decode reads {found}"
        return BOTH_REFUSE
    if reading.reasons:
        assert isinstance(found, DecodeError), f"{reading.reasons}, but decode reads {found}"
        reason, *place = reading.reasons[0]
        assert place == [found.inflated, found.offset], f"{reading.reasons}, but decode: {found}"
        # In Erlang a bit string without extra bits is a binary.
        if reason == FOREIGN and reading.data[found.offset] != 77:
            assert OTHER in json.dumps(normal), "Erlang has no such term"
        return reason
    expected = exact(value_of(reading.normal))
    assert found == expected, f"decode: {found}\n  expected: {expected}"
    return BOTH_READ if ordered(reading.normal) == ordered(normal) else BY_TAG


@pytest.mark.slow
def test_each_source_has_hundreds_of_seeds():
    assert [len(pool) > 400 for pool in pools()] == [True] * 4


@pytest.mark.slow
def test_seed_determines_the_mutants():
    def first_mutants(seed):
        mutator = Mutator(seed)
        return [mutator.frame() for _ in range(300)]

    assert first_mutants(7) == first_mutants(7)
    assert first_mutants(7) != first_mutants(8)


# Only decode limits the number of terms.
@for_each("name", [name for name in DIFFERENCES if name != "200,000 empty lists"])
def test_reference_decoder_finds_the_reason_of_known_differences(name):
    """It finds the reason at the byte where decode refuses the frame."""
    reason, frame, _, value = DIFFERENCES[name]
    reasons = Reading(frame).reasons
    if reason == BY_TAG:
        assert not reasons
        assert decode(frame) == value
        return
    with pytest.raises(DecodeError) as caught:
        decode(frame)
    assert reasons[0] == (reason, caught.value.inflated, caught.value.offset)


PID = DIFFERENCES["a pid"][1]
TRUE = bytes.fromhex("8377 04 74727565")
READ_TRUE, READ_X, READ_PID = [["a", "74727565"], 7], [["a", "78"], 7], [["other"], 16]


def refusing(offset):
    def read(frame):
        raise DecodeError(offset, "a pid (tag 103) is not supported")

    return read


@for_each(
    "frame, in_erlang, read, problem",
    [
        (TRUE, READ_TRUE, refusing(1), "^decode: .* expected:"),
        (TRUE, READ_TRUE, lambda _: 1, "^decode: .* expected:"),
        (TRUE, READ_TRUE, lambda _: "true", "^decode: .* expected:"),
        (TRUE, READ_TRUE, lambda _: b"true", "^a value of"),
        (TRUE + b"j", READ_TRUE, lambda _: True, "but decode reads"),
        (TRUE + b"j", READ_TRUE, refusing(1), "but decode: byte 1:"),
        (PID, READ_PID, refusing(2), "but decode: byte 2:"),
        (PID, [["a", "78"], 16], refusing(1), "^Erlang has no such term"),
        (TRUE[:-1], REFUSED, lambda _: "tru", "^Erlang refuses it, decode reads"),
        (TRUE, REFUSED, refusing(1), "^the reference decoder disagrees on the verdict"),
        (TRUE, READ_X, lambda _: True, "^the reference decoder read another value"),
        (TRUE, [["a", "74727565"], 6], lambda _: True, "^the reference decoder used other bytes"),
    ],
)
def test_comparison_finds_wrong_values_and_offsets(frame, in_erlang, read, problem):
    """It finds errors of decode and of the reference decoder."""
    with pytest.raises(AssertionError, match=f"(?s){problem}"):
        compare(Reading(frame), in_erlang, read)
    assert compare(Reading(TRUE), READ_TRUE) == BOTH_READ
    assert compare(Reading(PID), READ_PID) == FOREIGN
    assert compare(Reading(PID[:-1]), REFUSED) == BOTH_REFUSE


def test_keys_that_differ_in_their_sign_are_one_key_to_erlang_py():
    """Its reading of a map is then no error, whichever of the values it keeps."""
    keys = [bytes([110, 1, sign, 5]) for sign in (0, 131)]
    frame = b"\x83t\0\0\0\2" + keys[0] + b"a\1" + keys[1] + b"a\2"
    read, difference = OTHERS["erlang_py"]
    assert read(frame) in ({5: 1}, {5: 2})
    assert difference(read(frame), Reading(frame)) == SIGN_BYTE
    assert difference({6: 1}, Reading(frame[:5] + b"\1" + keys[0] + b"a\1")) == UNLISTED


def compare_others(reading, in_erlang, verdict):
    """Yield the name of each other decoder, and the category of the frame for it."""
    for name, (read, difference) in OTHERS.items():
        try:
            found = read(reading.frame)
        except Exception as error:  # noqa: BLE001 - the others have no error type of their own
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            yield (
                name,
                (BOTH_REFUSE if in_erlang == REFUSED else f"refused, but read by Erlang: {kind}"),
            )
            continue
        if in_erlang == REFUSED:
            reason = reading.malformed or reading.reasons[-1][0]  # where the decoder had to stop
            yield name, f"read, but refused by Erlang: {reason}"
        elif verdict not in {BOTH_READ, BY_TAG}:
            yield name, f"read, but refused by decode: {verdict}"
        else:
            reason = difference(found, reading)
            assert reason != UNLISTED, f"{name} reads {found}, for an unknown reason"
            yield name, f"another value: {reason}" if reason else READ_BY_ALL


def count_categories(frames):
    """Return the number of frames in each category, and descriptions of problems."""
    counts = Counter()
    problems = []
    for frame, in_erlang in zip(frames, ask_erlang("readings", frames), strict=True):
        try:
            reading = Reading(frame)
            verdict = compare(reading, in_erlang)
            counts["decode", verdict] += 1
            counts.update(compare_others(reading, in_erlang, verdict))
        except Exception as problem:  # noqa: BLE001 - any exception is a finding
            problems.append(f"{frame.hex()}\n  Erlang: {in_erlang!r:.2000}\n  {problem!r:.2000}")
    return counts, problems


@pytest.mark.slow
@pytest.mark.erl
@pytest.mark.filterwarnings("ignore")  # the other decoders emit warnings
def test_mutants_are_decoded_like_in_erlang(capfd, forget_atoms):
    """Decode and Erlang read the same value from each mutant, or differ for a listed reason."""
    # To repeat a run, set the variable to the seed in the failure message.
    seed = int(
        os.environ.get("BASIX_ERLANG_SEED") or (secrets.randbelow(1 << 32) if NIGHTLY else 0)
    )
    counts = Counter()
    for run in range(seed, seed + RUNS):
        # Cached atoms are read in another way than new ones.
        forget_atoms()
        mutator = Mutator(run)
        found, problems = count_categories([mutator.frame() for _ in range(MUTANTS_A_RUN)])
        if problems:
            pytest.fail(f"BASIX_ERLANG_SEED={run}, {len(problems)}:\n" + "\n".join(problems[:5]))
        counts += found
    # Nightly runs always print this; otherwise pytest shows it with -rP.
    with capfd.disabled() if NIGHTLY else nullcontext():
        sys.stdout.write(f"\n{RUNS * MUTANTS_A_RUN} mutants, BASIX_ERLANG_SEED={seed}\n")
        for (name, category), count in sorted(
            counts.items(), key=lambda item: (item[0][0], -item[1])
        ):
            sys.stdout.write(f"  {name:<10}{count:>8}  {category}\n")
    # Each category is frequent enough, except OVERREAD, which depends on luck.
    assert all(counts[name, READ_BY_ALL] > RUNS * MUTANTS_A_RUN // 20 for name in OTHERS)
    of_decode = {category: count for (name, category), count in counts.items() if name == "decode"}
    assert min(of_decode[BOTH_READ], of_decode[BOTH_REFUSE]) > RUNS * MUTANTS_A_RUN // 5
    assert of_decode.keys() >= REASONS - {OVERREAD}
    assert of_decode.keys() <= REASONS | {BOTH_READ, BOTH_REFUSE}
