"""Seeds of the fuzzing targets: valid frames from the files in ``tests/data``."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

DATA = Path(__file__).parents[2] / "data"


def conformance():
    """Yield the conformance sessions in all wire forms, each as a list of frames."""
    for line in (DATA / "conformance.jsonl").read_text(encoding="utf-8").splitlines():
        for wire in json.loads(line)["wire"].values():
            yield [bytes.fromhex(frame) for frame in wire]


def bench():
    """Yield the frames of the benchmark: two field_specs, two initial_infos, 2,000 events."""
    data = gzip.decompress((DATA / "bench.frames.gz").read_bytes())
    while data:
        size = int.from_bytes(data[:4], "big")
        yield data[4 : 4 + size]
        data = data[4 + size :]


def terms():
    """Yield frames written by Erlang, with one term of any kind each."""
    with gzip.open(DATA / "erlang_terms.tsv.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield bytes.fromhex(line.partition("\t")[0])


def frames():
    """Return all of these frames without duplicates."""
    found = [frame for session in conformance() for frame in session]
    return list(dict.fromkeys([*found, *bench(), *terms()]))
