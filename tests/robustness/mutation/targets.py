"""Modules that mutation testing changes, and the test files that must notice."""

from __future__ import annotations

import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from mutations import mutants

HERE = Path(__file__).parent
TESTS = HERE.parents[1]
# Not imported here: pytest has to import the package first, for its assertion rewriting.
PACKAGE = Path(find_spec("basix_ws_cti").origin).parent


class Target(NamedTuple):
    """Code to mutate.

    ``parts`` maps each module to the functions and classes to mutate; none: the complete module.
    ``own_tests`` are the names of its test files without ``test_``, ``other_tests`` those of
    further test files that use the code.
    """

    parts: dict[str, list[str]]
    own_tests: list[str]
    other_tests: list[str]


TARGETS = {
    "terms": Target(
        parts={"terms": []},
        own_tests=["terms"],
        other_tests=["conformance", "erlang", "hostile_frames", "parser"],
    ),
    "record_decoder": Target(
        parts={"parsing.record_decoder": []},
        own_tests=["record_decoder"],
        other_tests=["conformance", "parser", "elements"],
    ),
    "fast_path": Target(
        parts={"parsing.fast_path": [], "parsing.event_readers": []},
        own_tests=["fast_path", "event_readers"],
        other_tests=["parser"],
    ),
    "mirror": Target(
        parts={"mirror.mirror": []},
        own_tests=["mirror"],
        other_tests=["subscriptions", "client"],
    ),
    # Code that handles tokens.
    "redaction": Target(
        parts={
            "transport.connection": [
                "Connection.__init__",
                "Connection.__repr__",
                "Connection._connection_lost",
            ],
            "transport.connector": [
                "connect.__repr__",
                "connect._name",
                "connect.__aenter__",
                "connect._open",
                "_checked_headers",
            ],
            "transport.credentials": [],
            "transport.address": ["ServerAddress.parse", "check_encryption"],
            "transport.handshake": [],
            "transport.redaction": [],
            "_internal.log_sanitising": [],
            "exceptions": ["printable", "ProtocolError"],
        },
        own_tests=[
            "connection",
            "connector",
            "credentials",
            "address",
            "exceptions",
            "handshake",
            "log_sanitising",
            "redaction",
        ],
        other_tests=["client"],
    ),
}


def path_of_tests(name):
    """Return the path of a test file, by its name without ``test_``."""
    (path,) = TESTS.rglob(f"test_{name}.py")
    return str(path)


def source_file(part):
    """Return the path of a module of the package."""
    return PACKAGE / f"{part.replace('.', '/')}.py"


def part_mutants(part, wanted, *, with_code=True):
    """Yield the mutants of a module, or of the functions and classes ``wanted``, if there are any.

    Their names start with the name of the module. ``with_code=False`` omits their code.
    """
    path = source_file(part)
    source = path.read_text(encoding="utf-8")
    for mutant in mutants(source, str(path), with_code=with_code):
        scope = f"{'.'.join(mutant.scope)}."
        if not wanted or any(scope.startswith(f"{name}.") for name in wanted):
            yield mutant._replace(name=f"{part.rpartition('.')[2]}.{mutant.name}")


def accepted_mutants(target):
    """Return the names of the mutants of a target that may survive."""
    groups = tomllib.loads((HERE / "accepted.toml").read_text(encoding="utf-8"))
    return {name for group in groups.get(target, []) for name in group["mutants"]}
