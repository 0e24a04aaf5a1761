"""What Erlang writes, decode reads: `terms.decode` against term_to_binary and binary_to_term.

``erlang/terms.escript`` writes terms as frames, each with a normal form of the term in JSON;
``normal.value_of`` says what decode has to make of a normal form.

Part of what Erlang writes is kept in ``data/erlang_terms.tsv.gz``, so that these tests have
something to say where there is no Erlang. It was written with OTP 25, by ::

    escript tests/robustness/erlang/terms.escript 1 1600 small \
        | gzip -9n > tests/data/erlang_terms.tsv.gz
"""

import gzip
import json
import os
import secrets

import pytest
from support.erlang_terms import (
    COMMITTED,
    DIFFERENCES,
    EDGE_MAKERS,
    EDGES,
    REFUSED,
    RUNS,
    TERMS_PER_RUN,
    differences,
    erlang_terms,
    spread,
    verdict,
)
from support.normal_forms import (
    ask_erlang,
    exact,
    needs_erlang,
    ordered,
    value_of,
)

from basix_ws_cti import terms


@pytest.fixture(autouse=True)
def _fresh_atoms(monkeypatch):
    """Keep the atoms met here out of the memory that other tests share."""
    monkeypatch.setattr(terms, "atom_cache", dict(terms.PREDEFINED_ATOMS))


@pytest.fixture(scope="module")
def committed():
    with gzip.open(COMMITTED, "rt", encoding="ascii") as file:
        return file.read().splitlines()


def test_committed_terms_are_there(committed):
    """The committed set is no empty file: it has each tag Erlang writes and each kind of term."""
    pairs = [line.split("\t") for line in committed]
    assert len(pairs) >= 1500
    assert COMMITTED.stat().st_size < 300_000
    # 115 is missing: Erlang reads it but has no way to make term_to_binary write it
    outermost = {bytes.fromhex(frame[:4])[1] for frame, _ in pairs}
    assert outermost == {70, 80, *range(97, 101), *range(104, 112), 116, 118, 119}
    kinds = {json.loads(normal)[0] for _, normal in pairs}
    assert kinds == {"a", "b", "s", "nil", "l", "t", "m", "i", "f"}
    # Names of the compounds, as they stand in the normal forms
    text = "".join(normal for _, normal in pairs)
    for name in (b"nil", b"true", b"false", b"dict", b"time", b"string", b"regex"):
        assert f'["t",[["a","{b"bert".hex()}"],["a","{name.hex().upper()}"]' in text


def test_committed_terms(committed):
    """Each committed frame of term_to_binary becomes exactly the value Erlang had."""
    found, count = differences(committed)
    assert not found, "\n".join(found)
    assert count == len(committed)


def test_cut_and_lengthened_frames(committed):
    """A committed frame cut anywhere, or with a byte after it, is refused."""
    frames = [bytes.fromhex(line.split("\t")[0]) for line in committed]
    for frame in frames:
        for end in spread(len(frame)):
            assert verdict(frame[:end]) == REFUSED, frame[:end].hex()
        for byte in (b"\0", b"j", b"\xff"):
            assert verdict(frame + byte) == REFUSED, (frame + byte).hex()


@pytest.mark.erl
@needs_erlang
def test_random_terms():
    """Thousands of random frames, new ones in each run, become exactly the values Erlang had."""
    # To repeat a run, set the variable to the seed that the failure shows.
    seed = int(os.environ.get("BASIX_ERLANG_SEED") or secrets.randbelow(1 << 32))
    for run in range(seed, seed + RUNS):
        with erlang_terms(run, TERMS_PER_RUN) as lines:
            found, count = differences(lines)
        assert not found, f"BASIX_ERLANG_SEED={run}\n" + "\n".join(found)
        assert count == TERMS_PER_RUN, f"BASIX_ERLANG_SEED={run}"


@pytest.fixture(scope="module")
def erlang_says():
    """What Erlang makes of each frame above: a normal form, or ["refused"]."""
    frames = [*EDGES.values(), *(entry[1] for entry in DIFFERENCES.values())]
    return dict(zip(frames, ask_erlang("verdicts", frames), strict=True))


@pytest.mark.erl
@needs_erlang
@pytest.mark.parametrize("name", EDGES)
def test_verdicts_agree(name, erlang_says):
    """On an odd frame, decode and Erlang agree: both refuse it, or both read the same value."""
    said = erlang_says[EDGES[name]]
    expected = REFUSED if said == [REFUSED] else exact(value_of(said))
    assert verdict(EDGES[name]) == expected


@pytest.mark.erl
@needs_erlang
@pytest.mark.parametrize("name", DIFFERENCES)
def test_what_erlang_reads_where_decode_differs(name, erlang_says):
    """Erlang does accept each frame of the table of differences, as what the table says."""
    _, item, normal, _ = DIFFERENCES[name]
    said = erlang_says[item]
    if name == "a bit string of no bytes" and said == [REFUSED]:
        return  # OTP 29 is as strict as decode is
    assert ordered(said) == ordered(normal)


@pytest.mark.parametrize("name", DIFFERENCES)
def test_what_decode_does_where_it_differs(name):
    """Where decode is stricter than Erlang, or reads otherwise, that is meant, for a reason."""
    reason, item, _, value = DIFFERENCES[name]
    assert verdict(item) == (REFUSED if value is REFUSED else exact(value)), reason


def test_tables_are_there():
    """The tables of edges and of differences hold both verdicts, and no name twice."""
    names = [name for make in EDGE_MAKERS for name, _ in make()]
    assert len(names) == len(set(names)) == len(EDGES) - 4
    verdicts = [verdict(item) == REFUSED for item in EDGES.values()]
    assert verdicts.count(True) > 200
    assert verdicts.count(False) > 150
    assert len(DIFFERENCES) > 60
