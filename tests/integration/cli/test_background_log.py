"""Call log that a server keeps besides its main task."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from support.call_builders import call
from support.waiting import TIMEOUT, eventually

from basix_ws_cti import Gap
from basix_ws_cti.calllog import CallLogReader
from basix_ws_cti.calllog.database import parse_database
from basix_ws_cti.calllog.process_lock import ProcessLock
from basix_ws_cti.calls import CallEnded
from basix_ws_cti.cli.background_log import BackgroundLog
from basix_ws_cti.exceptions import CallLogError
from basix_ws_cti.mirror.mirror import Mirror

pytestmark = pytest.mark.slow

START = datetime(2026, 1, 1, tzinfo=UTC)
GAP = Gap(started=START, ended=START + timedelta(minutes=1), reason=None)


class Feed:
    """Source of one call; then it raises an error, or lasts forever."""

    def __init__(self, error=None):
        self.mirror = Mirror()
        self.error = error

    def now(self):
        return START

    async def call_events(self):
        yield START, CallEnded(call("0 ivr, 5 queued g1", 50, by="caller"))
        if self.error is not None:
            raise self.error
        await asyncio.Event().wait()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "calls.db"


def number_of_calls(path):
    """Return how many calls a log has; 0 if there is no log yet."""
    try:
        return CallLogReader(path).find().total
    except CallLogError:
        return 0


async def test_standby_that_cannot_take_over_retries_until_it_can(path, capsys):
    """It logs the gaps of the time when it waited, and reports the same problem once."""
    other, printed = ProcessLock(parse_database(path)), []

    def has_printed(text):
        printed.append(capsys.readouterr().err)
        return text in "".join(printed)

    assert other.try_acquire()
    log = BackgroundLog(str(path), retry_delay=0.01)
    async with log.opened():
        assert has_printed(f"another process logs to {path}\n")
        log.record(Feed())
        log.on_notice(GAP)
        path.write_bytes(b"no database " * 1000)
        other.release()
        await eventually(lambda: has_printed("calls are not logged, will retry: call log "))
        path.write_bytes(b"")
        await eventually(lambda: has_printed(f"calls are logged to {path}\n"))
        await eventually(lambda: number_of_calls(path) == 1)
    assert "".join(printed).count("calls are not logged") == 1
    assert CallLogReader(path).gaps() == ((GAP.started, GAP.ended, "unknown"),)


async def test_gap_while_the_log_is_open_is_logged(path):
    log = BackgroundLog(str(path))
    async with log.opened():
        log.on_notice(GAP)
    assert CallLogReader(path).gaps() == ((GAP.started, GAP.ended, "unknown"),)


async def test_error_after_the_opening_ends_the_block(path):
    error, finished = LookupError("of the feed"), []
    log = BackgroundLog(str(path))
    with pytest.raises(LookupError) as caught:
        async with log.opened():
            log.record(Feed(error))
            await asyncio.sleep(TIMEOUT)
            finished.append(True)
    assert caught.value is error
    assert not finished
    assert number_of_calls(path) == 1
