"""Webhook: requests, order, retries and limits, with real web servers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import jsonschema
import pytest
import trustme
from attrs import evolve
from standardwebhooks import WebhookVerificationError
from support.waiting import eventually
from support.webhook_receiver import (
    OTHER_SECRET,
    SECRET,
    EventSource,
    WebhookReceiver,
    ended,
    response,
    started,
)

from basix_ws_cti.alerts.rule import Alert, AlertRule
from basix_ws_cti.bridges import RetryPolicy, Webhook
from basix_ws_cti.bridges.webhook_events import build_event_schema
from basix_ws_cti.exceptions import UsageError
from basix_ws_cti.mirror.changes import Gap, Lagged

pytestmark = pytest.mark.slow

# Delays of a test, in seconds.
QUICK = RetryPolicy(first_delay=0.02, longest_delay=0.05, longest_pause=0.05)


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "hook.db"


@contextlib.asynccontextmanager
async def sending(url, spool, *events, secrets=(SECRET,), retries=QUICK, alerts=(), **options):
    """Run a webhook; provide it and the source of its events."""
    source = EventSource(*events)
    webhook = Webhook(url, secrets=secrets, spool=spool, retries=retries, **options)
    async with webhook:
        running = asyncio.create_task(webhook.run(source, alerts=alerts))
        try:
            yield webhook, source
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_events_are_signed_and_valid_by_the_schema(spool):
    async with (
        WebhookReceiver() as receiver,
        sending(receiver.url, spool, started("a"), ended("a"), Lagged(7)) as (webhook, source),
    ):
        webhook.on_notice(Gap(source.now() - timedelta(5), source.now(), None))
        await eventually(lambda: len(receiver.requests) == 4)
        assert await webhook.drained(60)
    schema = jsonschema.Draft202012Validator(build_event_schema())
    for request in receiver.requests:
        value = request.verify()
        schema.validate(value)
        assert request.headers["content-type"] == "application/json"
        assert request.target == "/hook?key=part-of-the-url"
    assert [one.type for one in receiver.of_call("a")] == ["call.started", "call.ended"]
    gaps = [one.value["data"] for one in receiver.requests if one.type == "feed.gap"]
    assert sorted((one["reason"], one["missed"]) for one in gaps) == [
        ("disconnected", None),
        ("lagged", 7),
    ]
    assert len({one.id for one in receiver.requests}) == 4


async def test_alerts_are_sent_when_they_begin_and_end(spool):
    rule = AlertRule.parse("longest-wait>60s@3")
    raised = Alert(
        rule=rule, state="raised", value=61.5, group_id=3, at=5_000_000, raised_at=5_000_000
    )
    async with (
        WebhookReceiver() as receiver,
        sending(receiver.url, spool, alerts=[rule, "waiting>5"]) as (webhook, source),
    ):
        await eventually(lambda: len(source.alerts) == 2)
        for alert in (raised, evolve(raised, state="ended", value=40, at=9_000_000)):
            source.alerts[str(rule)](alert)
        await eventually(lambda: webhook.health.delivered == 2)
    assert source.alerts == {}
    schema = jsonschema.Draft202012Validator(build_event_schema())
    for request, kind, value in zip(
        receiver.requests, ("raised", "ended"), (61.5, 40), strict=True
    ):
        schema.validate(request.verify())
        assert request.type == f"alert.{kind}"
        data = request.value["data"]
        assert (data["rule"], data["state"]) == ("longest-wait>60s@3", kind)
        assert (data["value"], data["group_id"]) == (value, 3)


async def test_both_secrets_of_a_rotation_verify(spool):
    secrets = [SECRET, OTHER_SECRET]
    async with (
        WebhookReceiver() as receiver,
        sending(receiver.url, spool, started("a"), secrets=secrets) as (webhook, _),
    ):
        await eventually(lambda: webhook.health.delivered == 1)
    (request,) = receiver.requests
    for secret in secrets:
        assert request.verify(secret)["type"] == "call.started"
    with pytest.raises(WebhookVerificationError):
        request.verify("whsec_" + "A" * 32)


@pytest.mark.parametrize("failure", [408, 429, 500, 503, 301, None])
async def test_failed_attempt_is_repeated_with_the_same_id_and_bytes(spool, failure):
    answers = iter([failure, failure, 200])

    def answer(_):
        status = next(answers)
        return status and response(status, location="http://127.0.0.1:1/elsewhere")

    async with (
        WebhookReceiver(answer) as receiver,
        sending(receiver.url, spool, started("a")) as (webhook, _),
    ):
        await eventually(lambda: webhook.health.delivered)
        assert await webhook.drained(60)
    requests = receiver.requests
    assert len(requests) == 3
    assert len({(one.id, one.body) for one in requests}) == 1
    for one in requests:
        one.verify()


async def test_timestamp_is_that_of_the_attempt(spool):
    """A receiver refuses old timestamps, however late the event is delivered."""
    answers = iter([500, 200])
    async with WebhookReceiver(lambda _: next(answers)) as receiver:
        retries = RetryPolicy(first_delay=2.2, longest_delay=2.2)
        async with sending(receiver.url, spool, started("a"), retries=retries) as (webhook, _):
            await eventually(lambda: webhook.health.delivered)
    first, second = (int(one.headers["webhook-timestamp"]) for one in receiver.requests)
    assert second > first


async def test_event_of_a_call_waits_for_the_previous_one_and_other_calls_do_not(spool):
    """The first event of call a is refused with 500 until all of call b is delivered."""

    def answer(request):
        return 500 if request.call == "a" and len(receiver.of_call("b")) < 2 else 204

    events = [started("a"), ended("a"), started("b"), ended("b")]
    async with (
        WebhookReceiver(answer) as receiver,
        sending(receiver.url, spool, *events) as (webhook, _),
    ):
        await eventually(lambda: webhook.health.delivered == 4)
    assert [one.type for one in receiver.of_call("b")] == ["call.started", "call.ended"]
    *failed, last_started, last = [one.type for one in receiver.of_call("a")]
    assert {*failed, last_started} == {"call.started"}
    assert last == "call.ended"


async def test_event_waits_for_the_previous_one_that_was_dropped_while_it_was_sent(spool):
    """The answer to the first event of call a arrives after everything else is delivered."""
    release = asyncio.Event()

    async def answer(request, _writer):
        if request.call == "a":
            await release.wait()
        return 204

    async with (
        WebhookReceiver(answer) as receiver,
        sending(receiver.url, spool, started("a"), max_events=2) as (webhook, source),
    ):
        await eventually(lambda: receiver.of_call("a"))
        source.put(ended("a"))
        source.put(started("b"))
        await eventually(lambda: webhook.health.delivered == 2)
        assert {one.type for one in receiver.requests[1:]} == {"call.started", "feed.gap"}
        assert [one.type for one in receiver.of_call("a")] == ["call.started"]
        release.set()
        await eventually(lambda: webhook.health.delivered == 4)
    assert [one.type for one in receiver.of_call("a")] == ["call.started", "call.ended"]


async def test_refused_event_is_a_dead_letter_and_the_call_goes_on(spool):
    async with (
        WebhookReceiver(lambda one: 400 if one.type == "call.started" else 204) as receiver,
        sending(receiver.url, spool, started("a"), ended("a"), ended("b")) as (webhook, _),
    ):
        await eventually(lambda: webhook.health.delivered == 2)
        assert await webhook.drained(60)
        assert (webhook.health.dead_letters, webhook.health.waiting) == (1, 0)
        assert webhook.health.is_receiver_available
    assert [one.type for one in receiver.of_call("a")] == ["call.started", "call.ended"]


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_delays_its_call_only(spool, form):
    """It asks for an hour; the limit is one and a half second."""
    after = "3600"
    if form == "date":
        after = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    refused = []

    def answer(request):
        if request.call == "a" and not refused:
            refused.append(request)
            return response(429, retry_after=after)
        return 204

    retries = RetryPolicy(first_delay=0.02, longest_delay=0.05, longest_retry_after=1.5)
    events = [started("a"), started("b"), ended("b")]
    async with (
        WebhookReceiver(answer) as receiver,
        sending(receiver.url, spool, *events, retries=retries) as (webhook, _),
    ):
        await eventually(lambda: webhook.health.delivered == 3)
    first, second = receiver.of_call("a")
    assert second.at - first.at >= 1.4  # a lower bound: nothing can make it shorter
    assert receiver.requests[-1] is second


async def test_redirect_is_not_followed(spool):
    async with WebhookReceiver() as other:
        redirect = response(307, location=other.url)
        async with (
            WebhookReceiver(lambda _: redirect) as receiver,
            sending(receiver.url, spool, started("a")) as (webhook, _),
        ):
            await eventually(lambda: len(receiver.requests) >= 3)
            assert webhook.health.waiting == 1
            assert webhook.health.problem.startswith("HTTP 307 (redirects are not followed")
    assert other.requests == []


async def test_proxies_of_the_environment_are_not_used(spool, monkeypatch):
    async with WebhookReceiver() as proxy, WebhookReceiver() as receiver:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with sending(receiver.url, spool, started("a")) as (webhook, _):
            await eventually(lambda: webhook.health.delivered)
        assert proxy.connections == 0


async def trickle(writer, data):
    """Send one byte per second until the connection is closed."""
    for byte in data:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def test_one_byte_per_second_ends_at_the_deadline_and_delays_no_other_call(spool):
    ends = []

    async def answer(request, writer):
        if request.call != "a":
            return 204
        with contextlib.suppress(ConnectionError):
            await trickle(writer, response(200, b"x" * 500))
        ends.append(request)
        return None

    events = [started("a"), *(started(f"b{number}") for number in range(50))]
    async with (
        WebhookReceiver(answer) as receiver,
        sending(receiver.url, spool, *events, timeout=2) as (webhook, _),
    ):
        await eventually(lambda: webhook.health.delivered == 50)
        assert len(receiver.of_call("a")) <= 1 or ends
        await eventually(lambda: len(receiver.of_call("a")) >= 2)
        assert "no answer within 2 s" in (webhook.health.problem or "")
        assert webhook.health.waiting == 1


@pytest.mark.parametrize("seconds", [1.9, 30])
async def test_body_that_trickles_does_not_undo_the_delivery(spool, seconds):
    """The body may take longer than ``timeout``, which is for the status."""

    async def answer(request, writer):
        head = response(200, b"x" * 500)
        writer.write(head[:-500])
        with contextlib.suppress(ConnectionError):
            await trickle(writer, b"x" * 500)

    async with (
        WebhookReceiver(answer) as receiver,
        sending(receiver.url, spool, started("a"), timeout=seconds) as (webhook, _),
    ):
        await eventually(lambda: webhook.health.delivered or len(receiver.requests) > 1)
    assert len(receiver.requests) == 1


async def test_large_answer_is_not_read(spool):
    """200 MB: the connection is closed after the first part, and the status counts."""
    size, sent = 200_000_000, []

    async def answer(request, writer):
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            for _ in range(size // 50_000):
                writer.write(b"x" * 50_000)
                await writer.drain()
                sent.append(50_000)

    async with (
        WebhookReceiver(answer) as receiver,
        sending(receiver.url, spool, started("a"), ended("a")) as (webhook, _),
    ):
        await eventually(lambda: webhook.health.delivered == 2)
    assert len(receiver.requests) == 2
    assert sum(sent) < size / 10


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_certificate_is_verified(spool, is_trusted):
    authority = trustme.CA()
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    context = ssl.create_default_context()
    (authority if is_trusted else trustme.CA()).configure_trust(context)
    async with (
        WebhookReceiver(ssl=serving) as receiver,
        sending(receiver.url, spool, started("a"), ssl=context) as (webhook, _),
    ):
        if is_trusted:
            await eventually(lambda: webhook.health.delivered == 1)
        else:
            await eventually(lambda: webhook.health.problem)
            assert webhook.health.problem == "TLS failed: certificate verify failed"
            assert receiver.requests == []


async def test_connections_are_used_again(spool):
    events = [started("a"), *(ended("a") for _ in range(20))]
    async with (
        WebhookReceiver() as receiver,
        sending(receiver.url, spool, *events) as (webhook, _),
    ):
        await eventually(lambda: webhook.health.delivered == 21)
    assert receiver.connections == 1


async def test_unavailable_receiver_gets_one_request_at_a_time(spool):
    """After five failures in a row; at its recovery everything is delivered, in order."""
    is_up = False
    retries = RetryPolicy(first_delay=0.05, longest_delay=0.05, longest_pause=0.05)
    calls = [f"c{number}" for number in range(20)]
    events = [event(call) for event in (started, ended) for call in calls]
    async with (
        WebhookReceiver(lambda _: 204 if is_up else 503) as receiver,
        sending(receiver.url, spool, *events, retries=retries) as (webhook, _),
    ):
        await eventually(lambda: not webhook.health.is_receiver_available)
        before = len(receiver.requests)
        assert before <= 5 + 8  # connections that were busy at the fifth failure
        await eventually(lambda: len(receiver.requests) > before + 3)
        is_up = True
        await eventually(lambda: webhook.health.delivered == 40)
        assert webhook.health.is_receiver_available
        assert webhook.health.problem is None
    for call in calls:
        types = [one.type for one in receiver.of_call(call)]
        assert types[-1] == "call.ended"
        assert types.count("call.ended") == 1


async def test_nothing_secret_or_personal_is_logged(spool, caplog):
    caplog.set_level(logging.DEBUG)
    answers = iter([500, 400, 200, 200])
    async with (
        WebhookReceiver(lambda _: next(answers, 200)) as receiver,
        sending(receiver.url, spool, started("a"), ended("a"), ended("b")) as (webhook, _),
    ):
        await eventually(lambda: webhook.health.delivered == 2)
        shown = repr(webhook) + repr(webhook.health) + webhook.address
    text = caplog.text + shown
    assert "refused: HTTP 400" in text
    for secret in (SECRET[6:], "part-of-the-url", "0312341234", "0312345678"):
        assert secret not in text


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://crm.example.com/hook", "events would be sent unencrypted to http://crm."),
        ("https://user:password@crm.example.com/", "url must not contain a user or password"),
        ("ftp://crm.example.com/", "url must start with https://"),
        ("https:///hook", "url has no valid host or port"),
        ("https://crm.example.com:99999/", "url is not a valid URL"),
        ("https://crm.example.com/#part", "url must not contain a fragment"),
        (7, "url must be a str"),
    ],
)
def test_url_that_cannot_work_is_refused_without_being_shown(url, text, spool):
    with pytest.raises(UsageError) as caught:
        Webhook(url, secrets=[SECRET], spool=spool)
    assert text in str(caught.value)
    assert "password@" not in str(caught.value)
    assert not spool.exists()


async def test_body_is_the_line_of_listen(spool):
    async with (
        WebhookReceiver() as receiver,
        sending(receiver.url, spool, ended("a")) as (webhook, _),
    ):
        await eventually(lambda: webhook.health.delivered == 1)
    value = json.loads(receiver.requests[0].body)
    assert (value["type"], value["timestamp"]) == ("call.ended", "2026-01-02T03:04:06.000000+00:00")
    data = value["data"]
    assert (data["v"], data["type"], data["event"]) == (1, "call", "ended")
    assert (data["call"]["id"], data["call"]["ended"]) == ("a", 20_000_000)
