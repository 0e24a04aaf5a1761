"""Mutation testing: change the code in one place, and see a test fail.

``python tests/robustness/mutation/run.py terms record_decoder fast_path mirror redaction`` makes
every mutant of these targets and runs the tests against each; ``terms._mapping`` limits a target
to one function. The run fails

* if fewer than 96 % of a target's mutants are killed,
* if a mutant survives that ``accepted.toml`` does not list,
* if ``accepted.toml`` lists a mutant that is killed or does not exist.

Each mutant is tried in a fork of a pytest process that has collected the tests already. The quick
tests of the module's own test files run first. If they pass, all tests that use the module run,
except for a listed mutant. A mutant that hangs is killed by a timer. Several targets run side by
side, one on each core.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.util
import inspect
import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from targets import HERE, TARGETS, TESTS, accepted_mutants, part_mutants, path_of_tests

LEAST_KILLED = 0.96
SLOW = 0.15  # seconds of CPU; tests that take longer run only on mutants that survive the others
UNKNOWN = 5.0  # seconds of CPU assumed for a test that has not been measured

# The fixture of tests that measure memory. They fail in a fork that has imported everything twice.
MEMORY_FIXTURE = "quiet_log"


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Import hook that loads a mutant in place of its module."""

    def __init__(self, module, code):
        self.module, self.code = module, code

    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_loader(name, self) if name == self.module else None

    def exec_module(self, module):
        exec(self.code, module.__dict__)


class Runner:
    """Pytest plugin that runs the tests once for each mutant."""

    def __init__(self, target, function):
        self.parts, own_tests, other_tests = TARGETS[target]
        self.function = function
        self.own_files = [path_of_tests(name) for name in own_tests]
        self.all_files = self.own_files + [path_of_tests(name) for name in other_tests]
        self.accepted = accepted_mutants(target)
        self.costs, self.kills = {}, {}
        self.names, self.survivors = set(), set()

    def pytest_configure(self):
        # Pytest has to rewrite the assertions of Hypothesis before anything imports it.
        from hypothesis import settings

        settings.register_profile("mutation", derandomize=True, database=None)
        settings.load_profile("mutation")

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if MEMORY_FIXTURE not in item.fixturenames]

    def pytest_runtestloop(self, session):
        self.session = session
        self.measure()
        for module, mutant in self.mutants():
            is_accepted = mutant.name in self.accepted
            is_killed = self.is_killed(self.quick, module, mutant) or (
                not is_accepted and self.is_killed(self.full, module, mutant)
            )
            self.names.add(mutant.name)
            if not is_killed:
                self.survivors.add(mutant.name)
            if is_killed == is_accepted:
                problem = "listed, but killed:" if is_accepted else "survives:"
                print(problem, mutant.name, flush=True)
        return True

    def mutants(self):
        """Yield all mutants, each with its module."""
        for part, names in self.parts.items():
            wanted = [self.function] if self.function else names
            found = list(part_mutants(part, wanted))
            if found:
                module = importlib.import_module(f"basix_ws_cti.{part}")
                self.check(module, part)
                for mutant in found:
                    yield module, mutant

    def check(self, module, part):
        """Exit if the tests fail on the unchanged module, in any of the ways they run."""
        code = compile(inspect.getsource(module), module.__file__, "exec")
        unchanged = next(m for m in part_mutants(part, []) if m.is_call)._replace(code=code)
        if (
            self.is_killed(self.quick, module, unchanged)
            or self.is_killed(self.quick, module, unchanged._replace(is_call=False))
            or (not self.names and self.is_killed(self.full, module, unchanged))
        ):
            test = max(self.kills, key=self.kills.get)
            pytest.exit(f"{module.__name__} fails without a mutant: {test}", 1)

    def measure(self):
        """Run the module's own tests without a mutant, and note the CPU time of each."""
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
            self.kills[test] = len(self.names)  # likely to kill the next mutant too
        return test != ""

    def fork(self, work, *args):
        """Return what ``work`` returns in a child process; ``timeout`` if a test hangs there."""
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
            try:
                os.write(writer, work(*args).encode())
                os._exit(0)
            except BaseException:  # noqa: BLE001 - the child must not continue as a second parent
                sys.excepthook(*sys.exc_info())
                os._exit(1)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            result = pipe.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status > 0:
            pytest.exit("mutation testing itself failed, see above", 1)
        return "timeout" if status else result

    def quick(self, module, mutant):
        """Give the imported function the mutant's code if possible; else import all again."""
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
        return self.run(self.reload(module, mutant, self.own_files), SLOW)

    def full(self, module, mutant):
        return self.run(self.reload(module, mutant, self.all_files))

    def reload(self, module, mutant, paths):
        """Import everything again with the mutant in place of its module; return the tests."""
        for name, loaded in list(sys.modules.items()):
            folders = Path(getattr(loaded, "__file__", None) or "/").parents
            is_test = TESTS in folders and HERE not in folders and name != "conftest"
            if name.startswith("basix_ws_cti") or is_test:
                del sys.modules[name]
        sys.meta_path.insert(0, Finder(module.__name__, mutant.code))
        self.register_fixtures()
        return self.session.perform_collect(paths)

    def register_fixtures(self):
        """Import ``conftest`` again and register it.

        Its fixtures use the package, and pytest offers them only to the tests it collects first.
        """
        conftest = sys.modules["conftest"]
        plugins = self.session.config.pluginmanager
        name = plugins.get_name(conftest)
        plugins.unregister(conftest)
        with contextlib.suppress(Exception):  # the collection fails for the same reason
            importlib.reload(conftest)
        del conftest.pytest_addoption  # pytest has these options already
        plugins.register(conftest, name)

    def run(self, items, slow=float("inf")):
        """Return the first test that fails, or an empty text."""
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
    """Mutate one target, or one function of it; return the exit status."""
    target, _, function = name.partition(".")
    runner = Runner(target, function)
    start = time.monotonic()
    options = ["-q", "-s", "-n0", "--all", "-m", "not erl", "-p", "no:cacheprovider"]
    options += ["--timeout=0"]  # pytest-timeout would reset the timers that kill a mutant
    if pytest.main([*options, *runner.own_files], plugins=[runner]) != 0:
        return 1
    total, alive = len(runner.names), len(runner.survivors)
    if not total:
        print(f"{name}: no mutants; is the name of the function right?")
        return 1
    share = 1 - alive / total
    seconds = time.monotonic() - start
    print(f"{name}: {total} mutants, {share:.1%} killed, {alive} survive, in {seconds:.0f} s")
    missing = set() if function else runner.accepted - runner.names
    for mutant in missing:
        print("listed, but there is no such mutant:", mutant)
    as_listed = runner.survivors == runner.accepted & runner.names
    is_enough = function or share >= LEAST_KILLED  # applies to complete targets only
    return int(not is_enough or not as_listed or bool(missing))


def main_in_process(name):
    """Mutate one target in a process of its own: pytest can run only once in a process."""
    return subprocess.call([sys.executable, __file__, name])


if __name__ == "__main__":
    names = sys.argv[1:] or [*TARGETS]
    if len(names) == 1:
        sys.exit(main(*names))
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as cores:
        sys.exit(any([*cores.map(main_in_process, names)]))
