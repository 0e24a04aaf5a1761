"""Fuzz one target: ``python tests/robustness/fuzz/run.py fuzz_decode --runs 1000000``.

A target is a module with

* ``check(data)``, which raises an exception if the input reveals a defect,
* ``seeds()``, which yields the first inputs,
* ``MAX_LEN``, the maximum length of an input in bytes,
* optionally ``mutate(data, max_size, seed)``, which derives an input from another one,
* optionally ``begin()``, which prepares the process.

Prints the output of libFuzzer and the input that revealed a defect. The exit status is 0 if there
is none.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

import atheris

# The modules whose branches guide the fuzzer. The default is the module of the target itself.
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
    "fuzz_response": ["basix_ws_cti.transport", "basix_ws_cti.client", "websockets", "email"],
}

# The folder of the package ``support``.
TESTS = Path(__file__).parents[2]
sys.path.append(str(TESTS))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", help="name of the target module")
    parser.add_argument("--runs", type=int, default=100_000, help="number of inputs")
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed; 0: a different one each time"
    )
    options = parser.parse_args()

    with atheris.instrument_imports(include=GUIDES.get(options.target, [options.target])):
        target = importlib.import_module(options.target)
    if hasattr(target, "begin"):
        target.begin()

    def check(data):
        try:
            target.check(data)
        except BaseException:
            sys.stderr.write(f"{options.target}.check(bytes.fromhex({data.hex()!r})) raises\n")
            raise

    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(target.seeds()):
            Path(folder, str(number)).write_bytes(seed)
        flags = {
            "runs": options.runs,
            "seed": options.seed,
            "max_len": target.MAX_LEN,
            "timeout": 60,  # seconds for one input
            "artifact_prefix": f"{folder}/",
        }
        atheris.Setup(
            [sys.argv[0], folder, *(f"-{name}={value}" for name, value in flags.items())],
            check,
            custom_mutator=getattr(target, "mutate", None),
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
