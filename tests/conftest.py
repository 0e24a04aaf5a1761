"""Fixtures and options for all tests."""

from __future__ import annotations

import gc
import logging
import os
import signal

import pytest
from support import atom_cache, secret_scanner, sizes
from support.programs import find_program

from basix_ws_cti import Basic, Client, Connection, Ticket, connect
from basix_ws_cti.simulator import Simulator

# A shell that starts pytest in the background makes it ignore Ctrl-C, and its children too. Some
# tests press Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Unbuffered output would hide lines that a command does not flush.
os.environ.pop("PYTHONUNBUFFERED", None)

# Seconds. A test that takes longer must be marked as slow.
SLOW = 0.5

# Seconds for one test at its full size.
NIGHTLY_TIMEOUT = 3600

# Programs that tests need, by marker.
PROGRAMS = {
    "browser": "chromium",
    "caddy": "caddy",
    "erl": "escript",
    "nginx": "nginx",
    "postgres": "initdb",
    "promtool": "promtool",
    "redis": "redis-server",
    "systemd": "systemd-analyze",
    "tmux": "tmux",
    "valkey": "valkey-server",
}


# -- options and markers -------------------------------------------------------------------


def pytest_addoption(parser):
    parser.addoption("--nightly", action="store_true", help="run all tests at their full size")
    parser.addoption("--slow", action="store_true", help="run the slow tests, and no others")
    parser.addoption("--all", action="store_true", help="run slow tests with all others")


def pytest_configure(config):
    # Test modules read the sizes when they are imported.
    sizes.NIGHTLY = config.getoption("--nightly")
    # Pytest has to rewrite the assertions of Hypothesis before anything imports it.
    from hypothesis import HealthCheck, settings

    # A loaded machine may take any time for one example.
    settings.register_profile(
        "any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("any speed")


def pytest_collection_modifyitems(config, items):
    nightly, slow = config.getoption("--nightly"), config.getoption("--slow")
    everything = nightly or config.getoption("--all") or is_selected_by_name(config)
    missing = {marker for marker, program in PROGRAMS.items() if not find_program(program)}
    kept, dropped = [], []
    for item in items:
        names = {mark.name for mark in item.iter_markers()}
        is_kept = everything or ("slow" in names) is slow
        if "nightly" in names and not nightly:
            is_kept = False
        (kept if is_kept else dropped).append(item)
        for marker in names & missing:
            item.add_marker(pytest.mark.skip(reason=f"no program {PROGRAMS[marker]!r}"))
        if nightly and "timeout" not in names:
            item.add_marker(pytest.mark.timeout(NIGHTLY_TIMEOUT))
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Exclude test modules and libraries from garbage collection.

    They live until the end. Without this, each full collection, which many tests request with
    ``gc.collect``, visits all of their objects and takes up to half a second.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def is_selected_by_name(config):
    """Return True if the command line names single tests, as in ``pytest file.py::test``."""
    return any("::" in argument for argument in config.invocation_params.args)


_unmarked = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" and call.duration > SLOW and not item.get_closest_marker("slow"):
        report.user_properties.append(("unmarked slow test", round(call.duration, 2)))
    return report


def pytest_runtest_logreport(report):
    for name, seconds in report.user_properties:
        if name == "unmarked slow test" and report.when == "call":
            _unmarked[report.nodeid] = seconds


def pytest_terminal_summary(terminalreporter, config):
    if _unmarked and not config.getoption("--nightly"):
        terminalreporter.section("tests over 0.5 s without the marker slow")
        for name, seconds in sorted(_unmarked.items(), key=lambda one: -one[1])[:20]:
            terminalreporter.write_line(f"{seconds:6.2f} s  {name}")


# -- secrets --------------------------------------------------------------------------------


_scanner = secret_scanner.SecretScanner()


@pytest.fixture(scope="session", autouse=True)
def scan_for_secrets():
    """Search the logs and exceptions of the complete test run for tokens.

    All loggers run at DEBUG, except ``websockets.client``: at DEBUG the package reads frames on
    the slow path, which users do not take. The tests of the connection set that level themselves,
    and ``BASIX_CANARY`` sets it for all tests.
    """
    patch = pytest.MonkeyPatch()
    patch.setitem(Simulator.__init__.__kwdefaults__, "token", secret_scanner.SIMULATOR_TOKEN)
    root = logging.getLogger()
    root.addHandler(_scanner)
    # The scanner skips these loggers, and their records would make floods slow.
    levels = {"": logging.DEBUG, **dict.fromkeys(secret_scanner.SKIPPED_LOGGERS, logging.INFO)}
    if not os.environ.get("BASIX_CANARY"):
        levels["websockets.client"] = logging.INFO
    before = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    stop_functions = [_scanner.guard(cls) for cls in (Basic, Ticket, connect, Connection, Client)]
    yield
    for stop in stop_functions:
        stop()
    root.removeHandler(_scanner)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
    patch.undo()


@pytest.fixture(autouse=True)
def no_secret_leaks(scan_for_secrets):
    """Fail a test whose secrets appear in a log record or an exception."""
    yield
    leaks, _scanner.leaks = _scanner.leaks, []
    assert not leaks, "\n".join(leaks)


def pytest_warning_recorded(warning_message):
    """Search warnings for tokens, too."""
    secret_scanner.assert_clean(str(warning_message.message))


# -- caches --------------------------------------------------------------------------------


@pytest.fixture
def forget_atoms():
    """Isolate the atom cache of a test; return a function that empties it."""
    atom_cache.forget_atoms()
    yield atom_cache.forget_atoms
    atom_cache.forget_atoms()


# -- logging -------------------------------------------------------------------------------


@pytest.fixture
def quiet_log():
    """Disable logging, for tests that measure memory: pytest keeps all log records."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
