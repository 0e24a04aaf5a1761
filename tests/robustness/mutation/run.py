"""Mutation testing: change the code in one place, and see a test fail.

``python tests/robustness/mutation/run.py terms record_decoder fast_path mirror redaction`` (or
``terms._mapping`` for one function) makes every mutant, runs the tests against each, and fails
where fewer than 90 % are killed, where a mutant survives that accepted.toml does not list, or where
that lists one that is killed or does not exist.

A mutant is tried in a fork of a pytest that has collected the tests already: first by the
quick tests of the module's own file, which is all for one that is listed; any other that
survives by all tests that have to do with the module. One that hangs is killed by the clock.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import inspect
import os
import resource
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from mutations import mutants

TESTS = Path(__file__).parents[2]
LEAST_KILLED = 0.9
SLOW = 0.15  # seconds of CPU: such a test waits for the survivors
UNKNOWN = 5.0  # what a test is taken to need that has not been measured

SECRETS = {
    "transport.connection": "Connection.__init__ Connection.__repr__ Connection._lost",
    "transport.connector": """connect.__repr__ connect._name connect.__aenter__ connect._open
        _checked_headers""",
    "transport.credentials": "",
    "transport.address": "Server.parse check_encryption",
    "transport.handshake": "",
    "transport.redaction": "",
    "_internal.log_sanitising": "",
    "exceptions": "printable ProtocolError",
}
# What is mutated (all of a module, or parts of several), its own tests, and further ones.
TARGETS = {
    "terms": ({"terms": ""}, "terms", "conformance erlang hostile parser"),
    "record_decoder": (
        {"parsing.record_decoder": ""},
        "record_decoder",
        "conformance parser elements",
    ),
    "fast_path": ({"parsing.fast_path": ""}, "fast_path", "parser"),
    "mirror": ({"mirror.mirror": ""}, "mirror", "subscriptions client"),
    "redaction": (
        SECRETS,
        "connection address exceptions handshake log_sanitising redaction",
        "client transport",
    ),
}


def test_file(name):
    """Return the path of the test file of a module."""
    (path,) = TESTS.rglob(f"test_{name}.py")
    return str(path)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a mutant in its module's place."""

    def __init__(self, module, code):
        self.module, self.code = module, code

    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_loader(name, self) if name == self.module else None

    def exec_module(self, module):
        exec(self.code, module.__dict__)


class Runner:
    """A pytest plugin: instead of running the tests once, runs them for each mutant."""

    def __init__(self, target, function, accepted):
        parts, own, others = TARGETS[target]
        self.parts = {f"basix_ws_cti.{part}": names.split() for part, names in parts.items()}
        self.function = function
        self.own = [test_file(name) for name in own.split()]
        self.every = self.own + [test_file(name) for name in others.split()]
        self.accepted = accepted
        self.costs, self.kills = {}, {}
        self.names, self.survivors = set(), set()

    def pytest_configure(self):
        from hypothesis import settings  # not before pytest, which rewrites it

        settings.register_profile("mutation", derandomize=True, database=None)
        settings.load_profile("mutation")

    def pytest_runtestloop(self, session):
        self.session = session
        self.measure()
        for module, mutant in self.mutants():
            known = mutant.name in self.accepted
            killed = self.is_killed(self.quick, module, mutant) or (
                not known and self.is_killed(self.full, module, mutant)
            )
            self.names.add(mutant.name)
            if not killed:
                self.survivors.add(mutant.name)
            if killed == known:
                print("listed, but killed:" if known else "survives:", mutant.name, flush=True)
        return True

    def mutants(self):
        """All mutants, each with its module."""
        for part, names in self.parts.items():
            module = importlib.import_module(part)
            source = inspect.getsource(module)
            wanted = [self.function] if self.function else names
            self.check(module, source)
            for mutant in mutants(source, module.__file__):
                scope = f"{'.'.join(mutant.scope)}."
                if not wanted or any(scope.startswith(f"{name}.") for name in wanted):
                    yield module, mutant._replace(name=f"{part.rpartition('.')[2]}.{mutant.name}")

    def check(self, module, source):
        """The module as it is must survive both ways, or what follows means nothing."""
        code = compile(source, module.__file__, "exec")
        same = next(m for m in mutants(source, module.__file__) if m.is_call)._replace(code=code)
        if (
            self.is_killed(self.quick, module, same)
            or self.is_killed(self.quick, module, same._replace(is_call=False))
            or (not self.names and self.is_killed(self.full, module, same))
        ):
            test = max(self.kills, key=self.kills.get)
            pytest.exit(f"{module.__name__} fails without a mutant: {test}", 1)

    def measure(self):
        """Run the own tests once without a mutant: how much CPU time each of them takes."""
        items = self.session.items
        lines = [line.split(" ", 1) for line in self.fork(self.time, items).splitlines()]
        self.costs = {test: float(cost) for cost, test in lines}
        if len(lines) < len(items):
            pytest.exit(f"fails without a mutant: {items[len(lines)].nodeid}", 1)

    def time(self, items):
        lines = []
        for item in items:
            start = time.process_time()
            if self.run([item]):
                break
            lines.append(f"{time.process_time() - start} {item.nodeid}")
        return "\n".join(lines)

    def is_killed(self, work, *args):
        test = self.fork(work, *args)
        if test:
            self.kills[test] = len(self.names)  # likely to kill the next one too
        return test != ""

    def fork(self, work, *args):
        """What ``work`` returns in a child of its own; ``timeout`` where a test hangs."""
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
            try:
                os.write(writer, work(*args).encode())
                os._exit(0)
            except BaseException:  # noqa: BLE001 - no child goes on as a parent
                sys.excepthook(*sys.exc_info())
                os._exit(1)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            said = pipe.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status > 0:
            pytest.exit("mutation testing itself failed, see above", 1)
        return "timeout" if status else said

    def quick(self, module, mutant):
        """Give the function that has been imported the mutant's code, where that can be done."""
        live, code = module, mutant.code
        for name in mutant.scope if mutant.is_call else ():
            live = inspect.getattr_static(live, name)
            live = getattr(live, "fget", None) or getattr(live, "__func__", inspect.unwrap(live))
            code = next(c for c in code.co_consts if getattr(c, "co_name", None) == name)
            if inspect.isfunction(live):
                if live.__code__.co_freevars == code.co_freevars:
                    live.__code__ = code
                    return self.run(self.session.items, SLOW)
                break
        return self.run(self.reload(module, mutant, self.own), SLOW)

    def full(self, module, mutant):
        return self.run(self.reload(module, mutant, self.every))

    def reload(self, module, mutant, paths):
        """The tests, when all is imported anew and the mutant in its module's place."""
        for name, loaded in list(sys.modules.items()):
            is_test = Path(getattr(loaded, "__file__", None) or "/").parent == TESTS
            if name.startswith("basix_ws_cti") or (is_test and name != "conftest"):
                del sys.modules[name]
        sys.meta_path.insert(0, Finder(module.__name__, mutant.code))
        return self.session.perform_collect(paths)

    def run(self, items, slow=float("inf")):
        """The first test that fails, and the empty text if none does."""
        if self.session.testsfailed:
            return "collection"
        items = [item for item in items if self.costs.get(item.nodeid, 0) < slow]
        items.sort(key=lambda i: (-self.kills.get(i.nodeid, 0), self.costs.get(i.nodeid, UNKNOWN)))
        for item, following in zip(items, [*items[1:], None], strict=True):
            cost = self.costs.get(item.nodeid, UNKNOWN)
            signal.setitimer(signal.ITIMER_PROF, 2 + 10 * cost)
            signal.setitimer(signal.ITIMER_REAL, 60 + 60 * cost)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.session.testsfailed:
                return item.nodeid
        return ""


def main(name):
    """Mutate one target, or one function of it; the exit status."""
    os.environ.pop("BASIX_NIGHTLY", None)  # the tests at their full size add nothing here
    target, _, function = name.partition(".")
    listed = tomllib.loads((TESTS / "mutation" / "accepted.toml").read_text())
    accepted = {mutant for group in listed[target] for mutant in group["mutants"]}
    runner = Runner(target, function, accepted)
    start = time.monotonic()
    options = ["-q", "-s", "-m", "not erl", "-p", "no:cacheprovider"]
    if pytest.main([*options, *runner.own], plugins=[runner]) != 0:
        return 1
    total, alive = len(runner.names), len(runner.survivors)
    share = 1 - alive / total
    seconds = time.monotonic() - start
    print(f"{name}: {total} mutants, {share:.1%} killed, {alive} survive, in {seconds:.0f} s")
    gone = set() if function else accepted - runner.names
    for mutant in gone:
        print("listed, but there is no such mutant:", mutant)
    as_listed = runner.survivors == accepted & runner.names
    enough = function or share >= LEAST_KILLED  # of a whole target
    return int(not enough or not as_listed or bool(gone))


if __name__ == "__main__":
    names = sys.argv[1:] or [*TARGETS]
    if len(names) == 1:
        sys.exit(main(*names))
    # Each on its own: a pytest can't be had twice in a process.
    sys.exit(max(subprocess.call([sys.executable, __file__, name]) for name in names))
