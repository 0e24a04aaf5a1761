"""Examinations of test servers, and TCP servers that are not a PBX."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from basix_ws_cti.cli.diagnostics.examination import SLOW_PING, Examination
from basix_ws_cti.cli.diagnostics.findings import STEPS, Mark

from .secret_scanner import SIMULATOR_TOKEN

ARGUMENTS = {"domain": "demo", "token": SIMULATOR_TOKEN, "app_name": "doctor", "full_events": True}

SILENT_LOGGER = logging.getLogger("quiet")
SILENT_LOGGER.addHandler(logging.NullHandler())
SILENT_LOGGER.propagate = False


async def examine(server, fast_step=None, slow_ping=SLOW_PING, **arguments):
    """Return all findings by step, after checking that steps after a failure are skipped.

    The step ``hasty`` has a timeout of 0.5 s, the others one that suits a busy machine.
    """
    connection = {**ARGUMENTS, "server": server, **arguments}
    examination = Examination(
        connection, timeout=0.5 if fast_step == "http" else 30, slow_ping=slow_ping
    )
    examination.timeout = 30
    findings = []
    async for finding in examination.findings():
        findings.append(finding)
        if STEPS[len(findings) + 1 :][:1] == (fast_step,):
            examination.timeout = 0.5
    assert [one.step for one in findings] == [*STEPS[1:]]
    marks = [one.mark for one in findings]
    if Mark.FAILED in marks:
        at = marks.index(Mark.FAILED)
        assert set(marks[at + 1 :]) <= {Mark.SKIPPED}
        assert Mark.SKIPPED not in marks[:at]
        assert findings[at].advice
    assert SIMULATOR_TOKEN not in str(findings)
    return {one.step: one for one in findings}


async def failed_finding(server, fast_step=None, **arguments):
    """Return the finding that failed."""
    findings = await examine(server, fast_step, **arguments)
    return next(one for one in findings.values() if one.mark is Mark.FAILED)


@contextlib.asynccontextmanager
async def tcp_server(answer, **options):
    """Run a server that calls ``answer(reader, writer)`` for each connection."""
    tasks = set()

    async def serve_one(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            with contextlib.suppress(OSError):
                await answer(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0, **options)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.sleep(0.01)  # a connection may just have been accepted
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # a transport closes in the next loop iteration


async def stay_silent(reader, _):
    await reader.read()


async def close_after_one_byte(reader, _):
    await reader.read(1)


async def speak_http(reader, writer):
    first_byte = await reader.read(1)
    if first_byte == b"G":
        await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
    await reader.read()


async def speak_ssh(reader, writer):
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await reader.read()
