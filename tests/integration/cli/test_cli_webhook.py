"""Commands ``webhook`` and ``dead-letters``: a feed into a web server, whatever interrupts it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from support.cli_runner import environment, run, run_in_process, start
from support.example_connections import connection_environment
from support.free_ports import free_port
from support.paths import EXAMPLES
from support.simulated_day import record_day
from support.waiting import TIMEOUT, eventually, wait_until
from support.webhook_receiver import OTHER_SECRET, SECRET, WebhookReceiver

from basix_ws_cti.bridges import DeadLetters
from basix_ws_cti.calls.event_json import event_name
from basix_ws_cti.cli.feed_names import CALL_EVENTS
from basix_ws_cti.recording import Recorder, replay
from basix_ws_cti.simulator import Simulator

SECRETS = {"BASIX_WEBHOOK_SECRET": SECRET}


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """Path of a recording of two minutes, and its call events."""
    path = tmp_path_factory.mktemp("days") / "day.rec.gz"
    record_day(path, 100, started=datetime(2026, 1, 1, tzinfo=UTC))
    events = [item for _, item in replay(path) if hasattr(item, "call")]
    return path, [(item.call.id, f"call.{event_name(type(item))}") for item in events]


async def run_webhook(url, spool, *arguments, env=SECRETS):
    """Run the command to its end, in a process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "basix_ws_cti", "webhook", url, "--spool", str(spool)),
        *map(str, arguments),
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def sent(requests):
    """Return call id and type of each request about a call."""
    return [(one.call, one.type) for one in requests if one.call is not None]


def in_order(events, found):
    """Check that the same events were found, those of each call in order."""
    assert sorted(found) == sorted(events)
    calls = {call for call, _ in events}
    for call in calls:
        assert [one for one in found if one[0] == call] == [one for one in events if one[0] == call]


@pytest.mark.slow
async def test_every_event_of_a_recording_arrives_once(day, tmp_path):
    path, events = day
    async with WebhookReceiver() as receiver:
        code, out, err = await run_webhook(receiver.url, tmp_path / "hook.db", "--recording", path)
    assert (code, out) == (0, ""), err
    assert f"sending call events to http://127.0.0.1:{receiver.port}; spool: " in err
    assert f"{len(events)} events delivered" in err
    assert "part-of-the-url" not in err
    in_order(events, sent(receiver.requests))
    printed = await listen(path, "--calls")
    data = [json.dumps(one.value["data"]) for one in receiver.requests]
    assert sorted(data) == sorted(map(json.dumps, printed))


async def listen(path, *arguments):
    """Return the JSON lines that ``listen`` prints for a recording."""
    options = ("--json", "--timezone", "UTC", "--recording", path, "--recording-speed", "0")
    done = await asyncio.to_thread(run, "listen", *options, *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
async def test_alerts_are_those_of_listen(day, tmp_path):
    path, _ = day
    rules = ["--alerts", "waiting>0", "--alerts", "longest-wait>5s", "--only-alerts"]
    async with WebhookReceiver() as receiver:
        code, _, err = await run_webhook(
            receiver.url, tmp_path / "hook.db", "--recording", path, *rules
        )
    assert code == 0, err
    found = [one.value["data"] for one in receiver.requests]
    printed = await listen(path, *rules)
    assert len(printed) >= 2
    for rule in {one["rule"] for one in printed}:
        assert [one for one in found if one["rule"] == rule] == [
            one for one in printed if one["rule"] == rule
        ]
    assert len(found) == len(printed)


@pytest.mark.slow
async def test_filters_select_events(day, tmp_path):
    path, events = day
    arguments = ["--event", "ended", "--event", "answered", "--recording", path]
    async with WebhookReceiver() as receiver:
        code, _, err = await run_webhook(receiver.url, tmp_path / "hook.db", *arguments)
    assert code == 0, err
    expected = [one for one in events if one[1] in {"call.ended", "call.answered"}]
    assert len(expected) > 5
    in_order(expected, sent(receiver.requests))


@pytest.mark.slow
async def test_killed_webhook_loses_nothing_and_repeats_the_same_bytes(day, tmp_path):
    """It is killed between the answer and the deletion of an event, and started again."""
    path, events = day
    spool = tmp_path / "hook.db"
    process = None
    answered = []

    async def answer(request, writer):
        answered.append(request.id)
        if len(answered) == 20:
            process.kill()  # before the answer is sent: none of the busy ones is deleted
            return 204
        return 204

    async with WebhookReceiver(answer) as receiver:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "basix_ws_cti", "webhook", receiver.url),
            *("--spool", str(spool), "--recording", str(path)),
            env=environment(**SECRETS),
            stderr=subprocess.PIPE,
        )
        await process.communicate()
        assert process.returncode == -signal.SIGKILL
        before = {one.id: one.body for one in receiver.requests}
        # The rest of the spool; the recording is not read again.
        empty = tmp_path / "empty.rec"
        Recorder(empty).close()
        code, _, err = await run_webhook(receiver.url, spool, "--recording", empty)
        assert code == 0, err
    for request in receiver.requests:
        request.verify()
    repeated = [one for one in receiver.requests[len(before) :] if one.id in before]
    assert repeated, "the event that was answered last is sent again"
    assert all(one.body == before[one.id] for one in repeated)
    found = list({one.id: one for one in receiver.requests}.values())
    in_order(events[: len(found)], sent(found))


@pytest.mark.slow
async def test_dead_letters_are_listed_retried_and_deleted(day, tmp_path):
    path, _ = day
    spool = tmp_path / "hook.db"
    refuses = True
    async with WebhookReceiver(
        lambda one: 400 if refuses and one.type == "call.answered" else 204
    ) as receiver:
        code, _, err = await run_webhook(receiver.url, spool, "--recording", path)
        assert code == 0, err
        count = sum(one.type == "call.answered" for one in receiver.requests)
        assert count >= 1
        listed = run_in_process("dead-letters", "list", "--spool", spool, "--json")
        letters = [json.loads(line) for line in listed.stdout.splitlines()]
        assert [one["reason"] for one in letters] == ["HTTP 400"] * count
        assert {one["type"] for one in letters} == {"call.answered"}
        text = run_in_process("dead-letters", "list", "--spool", spool, "--timezone", "UTC").stdout
        assert re.fullmatch(
            rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d  {letters[0]['id']}  call\.answered  HTTP 400",
            text.splitlines()[0],
        )
        done = run_in_process("dead-letters", "drop", letters[0]["id"], "unknown", "--spool", spool)
        assert (done.returncode, done.stdout) == (1, "1 dead letter deleted\n")
        assert done.stderr == "basix-ws-cti: 1 of the ids are no dead letters\n"
        done = run_in_process("dead-letters", "retry", "--all", "--spool", spool)
        assert (done.returncode, done.stderr) == (0, "")
        assert DeadLetters(spool).list() == []
        refuses = False
        before = len(receiver.requests)
        empty = tmp_path / "empty.rec"
        Recorder(empty).close()
        # Events of several calls arrive in their order only one by one.
        arguments = ("--connections", "1", "--recording", empty)
        code, _, err = await run_webhook(receiver.url, spool, *arguments)
        assert code == 0, err
    again = receiver.requests[before:]
    assert [one.id for one in again] == [one["id"] for one in letters[1:]]
    for request in again:
        request.verify()


@pytest.mark.slow
async def test_full_spool_drops_the_oldest_and_ends_with_1(tmp_path):
    """A live feed does not wait; a simulated PBX is one."""
    with Simulator(calls=False, speed=0.001) as pbx:
        async with WebhookReceiver(lambda _: 503) as receiver:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "basix_ws_cti", "webhook", receiver.url),
                *("--spool", str(tmp_path / "hook.db"), "--max-events", "2", "--status", "0.1"),
                env=environment(**SECRETS, **connection_environment(pbx)),
                stderr=subprocess.PIPE,
            )
            await eventually(lambda: pbx.connections)
            for _ in range(3):
                pbx.hangup(pbx.call("0312341234", to="1001"))
            lines = []
            async with asyncio.timeout(TIMEOUT):
                while " dropped" not in "".join(lines):
                    lines.append((await process.stderr.readline()).decode())
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
    assert process.returncode == 130
    assert re.search(r"2 waiting, \d+ dropped, last failure: HTTP 503", err.decode())


@pytest.mark.slow
async def test_first_refusal_is_reported_at_once(tmp_path):
    """The next line about the state is due after an hour."""
    with Simulator(calls=False, speed=0.001) as pbx:
        async with WebhookReceiver(lambda _: 404) as receiver:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "basix_ws_cti", "webhook", receiver.url),
                *("--spool", str(tmp_path / "hook.db"), "--event", "ended"),
                env=environment(**SECRETS, **connection_environment(pbx)),
                stderr=subprocess.PIPE,
            )
            await eventually(lambda: pbx.connections)
            pbx.hangup(pbx.call("0312341234", to="1001"))
            async with asyncio.timeout(TIMEOUT):
                while b" dead letter" not in (line := await process.stderr.readline()):
                    pass
            process.send_signal(signal.SIGINT)
            await process.communicate()
    assert (
        line == b"basix-ws-cti: 0 events delivered, 1 dead letter, last failure: HTTP 404; live\n"
    )


@pytest.mark.slow
async def test_events_that_still_wait_at_the_end_of_a_recording_give_exit_code_1(day, tmp_path):
    path, events = day
    async with WebhookReceiver(lambda _: 503) as receiver:
        code, _, err = await run_webhook(
            receiver.url, tmp_path / "hook.db", "--recording", path, "--drain", "0.1"
        )
    assert code == 1
    assert f"not every event was delivered: {len(events)} wait for the next start" in err


@pytest.mark.slow
async def test_restart_is_reported_as_a_gap(tmp_path):
    """The gap reaches from the end of the first webhook to the start of the second one."""
    spool = tmp_path / "hook.db"
    starts = []
    with Simulator(calls=False, speed=0.001) as pbx:
        async with WebhookReceiver() as receiver:
            for caller in ("0312341234", "09011112222"):
                starts.append(datetime.now(UTC))
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "basix_ws_cti", "webhook", receiver.url),
                    *("--spool", str(spool)),
                    env=environment(**SECRETS, **connection_environment(pbx)),
                    stderr=subprocess.PIPE,
                )
                before = len(sent(receiver.requests))
                await eventually(lambda: len(pbx.connections) == 1)
                pbx.hangup(pbx.call(caller, to="1001"))
                await eventually(
                    lambda n=before: "call.ended" in dict(sent(receiver.requests)[n:]).values()
                )
                process.send_signal(signal.SIGTERM)
                await process.communicate()
                assert process.returncode == 130
                await eventually(lambda: not pbx.connections)
    (gap,) = [one.value["data"] for one in receiver.requests if one.type == "feed.gap"]
    assert gap["reason"] == "restart"
    started, ended = (datetime.fromisoformat(gap[name]) for name in ("started", "ended"))
    assert starts[0] < started < starts[1] < ended


@pytest.mark.slow
def test_damaged_spool_is_named(day, tmp_path):
    path, _ = day
    spool = tmp_path / "hook.db"
    spool.write_bytes(b"this is no database" * 1000)
    done = run_in_process(
        *("webhook", "http://127.0.0.1:9/", "--spool", spool, "--drain", "0"),
        *("--recording", path, "--event", "parked"),
        env=SECRETS,
    )
    assert done.returncode == 1
    (aside,) = tmp_path.glob("hook.db.damaged-*")
    assert f"the spool was damaged: it was renamed to {aside}" in done.stderr
    assert aside.read_bytes().startswith(b"this is no database")


@pytest.mark.slow
def test_receiver_of_the_examples_accepts_genuine_requests_only(tmp_path):
    """With the simulator; a webhook with another secret is refused with 401."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with (
        subprocess.Popen(
            [sys.executable, "-W", "error", str(EXAMPLES / "webhook_receiver.py"), str(port)],
            env=environment(**SECRETS),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        ) as receiver,
        Simulator(calls=False, speed=0.001) as pbx,
    ):
        try:
            for secret, name in ((SECRET, "a"), (OTHER_SECRET, "b")):
                spool = tmp_path / name
                with start(
                    *("webhook", url, "--spool", spool, "--event", "ended"),
                    env={"BASIX_WEBHOOK_SECRET": secret, **connection_environment(pbx)},
                ) as process:
                    wait_until(lambda: pbx.connections, "the client")
                    call = pbx.call("0312341234", to="1001")
                    pbx.hangup(call)
                    if secret == SECRET:
                        line = receiver.stdout.readline()
                        assert re.fullmatch(rf"\S+ call\.ended {call} 0312341234\n", line)
                    else:
                        wait_until(lambda s=spool: s.exists() and letters(s), "the refusal")
                    process.send_signal(signal.SIGINT)
                    process.communicate()
                wait_until(lambda: not pbx.connections, "the end")
        finally:
            receiver.kill()
            out, err = receiver.communicate()
    assert (out, err) == ("", "")
    (letter,) = DeadLetters(tmp_path / "b").list()
    assert letter.reason == "HTTP 401"


def letters(spool):
    with contextlib.suppress(Exception):
        return DeadLetters(spool).list()
    return []


@pytest.mark.parametrize(
    ("arguments", "env", "text"),
    [
        ([], {}, "no secret: set BASIX_WEBHOOK_SECRET, or pass --secret-file"),
        ([], {"BASIX_WEBHOOK_SECRET": "abc"}, "a secret does not start with whsec_: "),
        (["--secret-file", "missing"], {}, "cannot read the secret file missing: no such file"),
        (["--event", "hung_up"], SECRETS, "unknown call event 'hung_up'"),
        (["--number", "x"], SECRETS, "--number: expected a telephone number of digits, got 'x'"),
        (["--alerts", "longest-wait<60"], SECRETS, "longest-wait"),
        (["--only-alerts"], SECRETS, "--only-alerts needs a rule: add --alerts"),
        (["--max-age", "3"], SECRETS, "--max-age: expected a number and s, m, h or d"),
        (["--receiver-ca-file", "missing"], SECRETS, "cannot load --receiver-ca-file missing: "),
    ],
)
def test_invalid_options_are_reported_before_connecting(arguments, env, text, tmp_path):
    done = run_in_process(
        *("webhook", "https://crm.example.com/?key=part-of-the-url", "--simulate"),
        *("--spool", tmp_path / "hook.db", *arguments),
        env=env,
    )
    assert done.returncode == 2
    assert text in done.stderr
    assert "part-of-the-url" not in done.stderr
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
async def test_secret_and_spool_of_a_profile_are_used(day, tmp_path):
    path, events = day
    (tmp_path / "secrets").write_text(f"{OTHER_SECRET}\n{SECRET}\n")
    config = tmp_path / "config.toml"
    config.write_text("[profiles.crm]\nsecret-file = 'secrets'\nspool = 'crm.db'\n")
    async with WebhookReceiver() as receiver:
        arguments = ("--recording", path, "--profile", "crm", "--event", "ended")
        done = await asyncio.to_thread(
            run, "webhook", receiver.url, *arguments, env={"BASIX_CONFIG": str(config)}
        )
    assert done.returncode == 0, done.stderr
    assert len(receiver.requests) == sum(kind == "call.ended" for _, kind in events)
    for secret in (SECRET, OTHER_SECRET):
        receiver.requests[0].verify(secret)
    assert (tmp_path / "crm.db").exists()
    done = run_in_process(
        "dead-letters", "drop", "--all", "--profile", "crm", env={"BASIX_CONFIG": str(config)}
    )
    assert (done.returncode, done.stdout) == (0, "0 dead letters deleted\n")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["list"], 1, "hook.db: no such file"),
        (["retry"], 2, "no dead letter selected: name their ids, or pass --all"),
        (["drop", "--all", "evt_1"], 2, "--all and ids cannot be combined"),
    ],
)
def test_dead_letters_that_cannot_be_selected_are_an_error(arguments, code, text, tmp_path):
    done = run_in_process("dead-letters", *arguments, "--spool", tmp_path / "hook.db")
    assert done.returncode == code
    assert text in done.stderr


def test_every_call_event_can_be_selected():
    from basix_ws_cti.cli.webhook_options import complete_call_events

    assert complete_call_events() == [*CALL_EVENTS]


@pytest.mark.slow
def test_receiver_of_the_examples_does_not_start_without_a_secret():
    done = subprocess.run(
        [sys.executable, EXAMPLES / "webhook_receiver.py", "0"],
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "webhook_receiver: set BASIX_WEBHOOK_SECRET to the secret of the sender\n"
