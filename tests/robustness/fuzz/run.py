"""Fuzz one target: ``python tests/robustness/fuzz/run.py fuzz_decode --runs 1000000``.

A target is a module with ``check(data)``, which raises for what must not be; ``seeds()``, the
inputs to begin with; ``MAX_LEN``, the longest input; and perhaps ``mutate(data, max_size,
seed)``, which makes an input of another.

Prints what libFuzzer prints, and the input that broke something. Ends with 0 if none did.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

import atheris

# The modules whose branches guide the fuzzer; of a target that is not named here, its own.
GUIDES = {
    "fuzz_decode": ["basix_ws_cti.terms"],
    "fuzz_parser": [
        "basix_ws_cti.parsing.parser",
        "basix_ws_cti.parsing.record_decoder",
        "basix_ws_cti.mirror.mirror",
    ],
    "fuzz_commands": ["basix_ws_cti.simulator"],
    "fuzz_api": [
        "basix_ws_cti.simulator.http_api",
        "basix_ws_cti.simulator.access_control",
        "http.server",
    ],
    "fuzz_handshake": ["basix_ws_cti.simulator.access_control", "websockets"],
}

# Where the other tests' helpers are.
TESTS = Path(__file__).parents[2]
sys.path.append(str(TESTS))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("target", help="the name of its module")
    arguments.add_argument("--runs", type=int, default=100_000, help="inputs to try")
    arguments.add_argument("--seed", type=int, default=0, help="0: another one each time")
    given = arguments.parse_args()

    with atheris.instrument_imports(include=GUIDES.get(given.target, [given.target])):
        target = importlib.import_module(given.target)
    if hasattr(target, "begin"):
        target.begin()

    def check(data):
        try:
            target.check(data)
        except BaseException:
            sys.stderr.write(f"{given.target}.check(bytes.fromhex({data.hex()!r})) raises\n")
            raise

    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(target.seeds()):
            Path(folder, str(number)).write_bytes(seed)
        options = {
            "runs": given.runs,
            "seed": given.seed,
            "max_len": target.MAX_LEN,
            "timeout": 60,  # seconds for one input
            "artifact_prefix": f"{folder}/",
        }
        atheris.Setup(
            [sys.argv[0], folder, *(f"-{name}={value}" for name, value in options.items())],
            check,
            custom_mutator=getattr(target, "mutate", None),
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
