"""Mutated frames, decided by Erlang, by decode and by others: decode differs for known reasons.

A mutant (`mutants`) is read by Erlang, by a plain reader of these tests (`reader`) and by
decode. The reader has to be of Erlang's mind: same verdict, same normal form, same number of
bytes used. Then decode is measured by it: it gives exactly the value that the normal form
stands for, or refuses, at the very byte where the reader found the first of the listed
reasons. What decode says in its error is not asked.

What a value can't tell, and this comparison can't see: whether a text was an atom, a binary
or a charlist; whether it was Latin-1 or UTF-8; whether None or a bool was an atom or a
compound; whether a dict was a map or a compound, and in what order; how a time was split. The
limit of terms to the byte is decode's own measure: no mutant is large enough to meet it.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections import Counter
from contextlib import nullcontext

import pytest
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
    needs_erlang,
    ordered,
    value_of,
)
from support.other_decoders import OTHERS, UNLISTED
from support.reference_decoder import Reading, erlang_normal_form
from support.sizes import NIGHTLY

from basix_ws_cti import terms
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


@pytest.fixture(autouse=True)
def forget_atoms(monkeypatch):
    """Keep the atoms met here out of the memory that other tests share; forgets them if called."""

    def forget():
        monkeypatch.setattr(terms, "atom_cache", dict(terms.PREDEFINED_ATOMS))

    forget()
    return forget


@pytest.fixture(autouse=True)
def _long_numbers():
    """Erlang reads integers that Python, by default, refuses to print."""
    digits = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    yield
    sys.set_int_max_str_digits(digits)


def judged(reading, said, read=decode):
    """What there is to count about the frame of a reading, of which Erlang said this.

    Raises AssertionError for what must not be.
    """
    normal, used = (None, None) if said == REFUSED else said
    if reading.is_certain:
        assert (normal is None) == (reading.malformed is not None), "the reader foretold otherwise"
        if normal:
            assert ordered(erlang_normal_form(reading.normal)) == ordered(normal), (
                "the reader read otherwise"
            )
            assert used == reading.used, "the reader used other bytes"
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
        # A bit string of whole bytes is a binary to Erlang.
        if reason == FOREIGN and reading.data[found.offset] != 77:
            assert OTHER in json.dumps(normal), "Erlang has no such term"
        return reason
    expected = exact(value_of(reading.normal))
    assert found == expected, f"decode: {found}\n  expected: {expected}"
    return BOTH_READ if ordered(reading.normal) == ordered(normal) else BY_TAG


def test_seeds_are_there():
    """The mutants are made from hundreds of frames of each of four sources."""
    assert [len(pool) > 400 for pool in pools()] == [True] * 4


def test_a_seed_makes_the_same_mutants():
    """The same seed makes the same mutants, another one others."""

    def some(seed):
        mutator = Mutator(seed)
        return [mutator.frame() for _ in range(300)]

    assert some(7) == some(7)
    assert some(7) != some(8)


# The cost of many terms is a measure of decode's own.
@pytest.mark.parametrize("name", [name for name in DIFFERENCES if name != "200,000 empty lists"])
def test_the_reader_knows_the_differences(name):
    """The reader finds the reason of each known difference, where decode refuses the frame."""
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


@pytest.mark.parametrize(
    ("frame", "said", "read", "problem"),
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
        (TRUE, REFUSED, refusing(1), "^the reader foretold otherwise"),
        (TRUE, READ_X, lambda _: True, "^the reader read otherwise"),
        (TRUE, [["a", "74727565"], 6], lambda _: True, "^the reader used other bytes"),
    ],
)
def test_a_difference_is_found(frame, said, read, problem):
    """A decode that reads wrongly, or refuses at the wrong place, does not pass; nor the reader."""
    with pytest.raises(AssertionError, match=f"(?s){problem}"):
        judged(Reading(frame), said, read)
    assert judged(Reading(TRUE), READ_TRUE) == BOTH_READ
    assert judged(Reading(PID), READ_PID) == FOREIGN
    assert judged(Reading(PID[:-1]), REFUSED) == BOTH_REFUSE


def others_judged(reading, said, verdict):
    """What there is to count about what others make of the frame: (name of the reader, what)."""
    for name, (read, difference) in OTHERS.items():
        try:
            found = read(reading.frame)
        except Exception as error:  # noqa: BLE001 - the others have no error type of their own
            what = f"{type(error).__module__}.{type(error).__qualname__}"
            yield name, BOTH_REFUSE if said == REFUSED else f"refuses what Erlang reads: {what}"
            continue
        if said == REFUSED:
            why = reading.malformed or reading.reasons[-1][0]  # where the reader had to stop
            yield name, f"reads what Erlang refuses: {why}"
        elif verdict not in {BOTH_READ, BY_TAG}:
            yield name, f"reads what decode refuses: {verdict}"
        else:
            why = difference(found, reading)
            assert why != UNLISTED, f"{name} reads {found}, for no reason that is known"
            yield name, f"another value: {why}" if why else READ_BY_ALL


def tallied(frames):
    """What there is to count about these frames, and the first few problems."""
    counts = Counter()
    problems = []
    for frame, said in zip(frames, ask_erlang("readings", frames), strict=True):
        try:
            reading = Reading(frame)
            verdict = judged(reading, said)
            counts["decode", verdict] += 1
            counts.update(others_judged(reading, said, verdict))
        except Exception as problem:  # noqa: BLE001 - whatever it is, it is a finding
            problems.append(f"{frame.hex()}\n  Erlang: {said!r:.2000}\n  {problem!r:.2000}")
    return counts, problems


@pytest.mark.erl
@needs_erlang
@pytest.mark.filterwarnings("ignore")  # those of the others
def test_mutants(capfd, forget_atoms):
    """Thousands of mutants: decode reads what Erlang reads, as the same value, or has a reason."""
    # To repeat a run, set the variable to the seed that the failure shows.
    seed = int(
        os.environ.get("BASIX_ERLANG_SEED") or (secrets.randbelow(1 << 32) if NIGHTLY else 0)
    )
    counts = Counter()
    for run in range(seed, seed + RUNS):
        # What is remembered is read in another way than what is new.
        forget_atoms()
        mutator = Mutator(run)
        found, problems = tallied([mutator.frame() for _ in range(MUTANTS_A_RUN)])
        if problems:
            pytest.fail(f"BASIX_ERLANG_SEED={run}, {len(problems)}:\n" + "\n".join(problems[:5]))
        counts += found
    # Only in the long run for all to see; pytest's -rP shows it in the short one.
    with capfd.disabled() if NIGHTLY else nullcontext():
        sys.stdout.write(f"\n{RUNS * MUTANTS_A_RUN} mutants, BASIX_ERLANG_SEED={seed}\n")
        for (name, what), count in sorted(counts.items(), key=lambda item: (item[0][0], -item[1])):
            sys.stdout.write(f"  {name:<10}{count:>8}  {what}\n")
    # Enough of each kind. What Erlang finds beyond a float's text is luck.
    assert all(counts[name, READ_BY_ALL] > RUNS * MUTANTS_A_RUN // 20 for name in OTHERS)
    of_decode = {what: count for (name, what), count in counts.items() if name == "decode"}
    assert min(of_decode[BOTH_READ], of_decode[BOTH_REFUSE]) > RUNS * MUTANTS_A_RUN // 5
    assert of_decode.keys() >= REASONS - {OVERREAD}
    assert of_decode.keys() <= REASONS | {BOTH_READ, BOTH_REFUSE}
