"""Commands of a follower: through Redis to the leader, at most once, with known outcomes."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import textwrap

import pytest
from support.cli_runner import environment
from support.faulty_proxy import Proxy
from support.waiting import TIMEOUT, eventually

from basix_ws_cti import (
    Client,
    ClientClosed,
    CommandRefused,
    CommandTimeout,
    HttpApi,
    NotConnectedError,
    RedisFeedError,
    UsageError,
)
from basix_ws_cti.fanout import Follower, Publisher
from basix_ws_cti.fanout.command_layout import SUBMIT, CommandKeys, Request
from basix_ws_cti.simulator import Simulator
from basix_ws_cti.states import Park

pytestmark = [pytest.mark.redis, pytest.mark.slow]

# Publisher that is killed after its client has hung up a channel, and before it confirms that.
KILLED = textwrap.dedent(
    """
    import asyncio, os, signal, sys
    from basix_ws_cti import Client
    from basix_ws_cti.fanout import Publisher

    class Killed(Client):
        async def hangup(self, uuid, **options):
            await super().hangup(uuid, **options)
            os.kill(os.getpid(), signal.SIGKILL)

    redis, server, domain, token = sys.argv[1:]

    def make_client():
        return Killed(server, domain=domain, token=token, app_name="publisher", full_events=True)

    asyncio.run(Publisher(redis, make_client, allow_commands=True).run())
    """
)


class RecordingClient(Client):
    """Client that records the channels that it hangs up, once ``gate`` is open."""

    def __init__(self, hung_up, gate, **options):
        super().__init__(**options)
        self._hung_up, self._gate = hung_up, gate

    async def hangup(self, uuid, **options):
        self._hung_up.append(uuid)
        await self._gate.wait()
        await super().hangup(uuid, **options)


@pytest.fixture
async def pbx():
    async with Simulator(calls=False, users=20, seed=5) as pbx:
        yield pbx


@contextlib.asynccontextmanager
async def publisher(server, pbx, **options):
    """Run a publisher that leads."""
    options = {"allow_commands": True, **options}
    hung_up, gate = [], asyncio.Event()
    gate.set()
    arguments = {**pbx.connect_args, "app_name": "publisher", "full_events": True}
    one = Publisher(server.url, lambda: RecordingClient(hung_up, gate, **arguments), **options)
    one.hung_up, one.gate = hung_up, gate
    task = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.wait([task])


async def leads(one):
    await eventually(lambda: one.status.role == "leader" and one.stats.snapshots)


async def test_commands_of_a_client_work_with_a_follower(redis_server, pbx):
    """With ``confirm``, the mirror of the follower shows the effect."""
    caller = pbx.call("0312341234", to="1001")
    pbx.answer(caller)
    async with publisher(redis_server, pbx) as one, Follower(redis_server.url) as follower:
        await leads(one)
        await follower.synced(TIMEOUT)
        user_leg = follower.mirror.channels[caller].other_uuid
        await follower.park(user_leg, 60.0, confirm=True, confirm_timeout=TIMEOUT)
        assert isinstance(follower.mirror.channels[caller].state, Park)
        await follower.transfer(caller, "1002", user_id=next(iter(follower.mirror.users)))
        await eventually(lambda: not isinstance(follower.mirror.channels[caller].state, Park))
        await follower.hangup(caller, confirm=True, confirm_timeout=TIMEOUT)
        assert caller not in follower.mirror.channels
        assert one.hung_up == [caller]
        with pytest.raises(CommandTimeout, match="hangup was seen within 2 s: its outcome is un"):
            await follower.hangup("no-such-channel", confirm=True, confirm_timeout=2)
        await follower.hangup("no-such-channel")
        with pytest.raises(UsageError, match="uuid must not be empty"):
            await follower.hangup("")
    with pytest.raises(ClientClosed):
        await follower.hangup(caller)
    assert redis_server.client.ttl("{basix}:requests") > 3000
    for key in redis_server.client.keys("{basix}:[cr]*:*"):
        assert 0 < redis_server.client.ttl(key) <= 70 + TIMEOUT


@contextlib.asynccontextmanager
async def follower_of_api(server, pbx):
    """Run a publisher with an HTTP API, and yield a follower that is synced."""
    arguments = {name: pbx.connect_args[name] for name in ("domain", "token")}
    async with (
        publisher(server, pbx, make_api=lambda: HttpApi(pbx.api_url, **arguments)) as one,
        Follower(server.url) as follower,
    ):
        await leads(one)
        await follower.synced(TIMEOUT)
        yield follower


async def test_call_user_through_the_publisher(redis_server, pbx):
    """The follower's machine needs no token of the PBX."""
    async with follower_of_api(redis_server, pbx) as follower:
        call = await follower.call_user(follower.api, "1002", user_extension="1001")
        assert len(call.uuids) >= 1
        await eventually(lambda: call.call is not None)
        with pytest.raises(CommandRefused, match="call_user failed: ") as error:
            await follower.call_user(follower.api, "1002", user_extension="no-such-user")
        assert error.value.cause == "failed"
        with pytest.raises(UsageError, match="must be JSON values"):
            await follower.call_user(follower.api, object(), user_extension="1001")


async def test_call_group_through_the_publisher(redis_server, pbx):
    """All members of the group ring."""
    async with follower_of_api(redis_server, pbx) as follower:
        group = next(iter(follower.mirror.groups.values()))
        uuids = await follower.api.call_group("0312341234", group_id=group.id)
        assert len(uuids) == len(follower.mirror.members_of_group(group.id))
        await eventually(lambda: follower.mirror.channels.keys() >= {*uuids})
        with pytest.raises(CommandRefused, match="call_group failed: "):
            await follower.api.call_group("0312341234", group_id=0)
        with pytest.raises(UsageError, match="arguments of call_group must be JSON values"):
            await follower.api.call_group("0312341234", group_id=object())


async def test_publisher_that_allows_no_commands_is_named(redis_server, pbx):
    caller = pbx.call("0312341234", to="1001")
    async with (
        publisher(redis_server, pbx, allow_commands=False) as one,
        Follower(redis_server.url) as follower,
    ):
        await leads(one)
        await follower.synced(TIMEOUT)
        with pytest.raises(
            CommandRefused,
            match="hangup was not executed: the publisher executes no commands: start it with "
            "--allow-commands",
        ) as error:
            await follower.hangup(caller)
        assert error.value.cause == "not_allowed"
    assert redis_server.client.exists("{basix}:requests") == 0


async def test_without_a_leader_nothing_is_requested(redis_server):
    async with Follower(redis_server.url) as follower:
        with pytest.raises(NotConnectedError):
            await follower.hangup("u1", confirm=True)
    assert redis_server.client.keys() == []


async def test_request_that_no_leader_takes_is_withdrawn(redis_server, pbx):
    """The leader is gone, and its leases have not expired; a later leader does not execute it."""
    caller = pbx.call("0312341234", to="1001")
    redis_server.client.set("{basix}:leader", "gone:1", ex=60)
    redis_server.client.set("{basix}:commands", "1", ex=60)
    async with Follower(redis_server.url) as follower:
        with pytest.raises(
            CommandRefused,
            match="hangup was not executed: no publisher took it before its deadline",
        ) as error:
            await follower.hangup(caller, confirm=True, confirm_timeout=0.1)
        assert error.value.cause == "not_taken"
        redis_server.client.delete("{basix}:leader")
        async with publisher(redis_server, pbx) as one:
            await leads(one)
            await follower.synced(TIMEOUT)
            other = pbx.call("0312341235", to="1002")
            await follower.hangup(other, confirm=True, confirm_timeout=TIMEOUT)
            assert one.hung_up == [other]


async def test_claim_of_a_publisher_whose_name_has_braces_is_no_reply(redis_server):
    """Its leader claims the request, and dies."""
    redis_server.client.set("{basix}:leader", "{a}:1", ex=60)
    redis_server.client.set("{basix}:commands", "1", ex=60)
    async with Follower(redis_server.url) as follower:
        hanging_up = asyncio.create_task(follower.hangup("u", confirm=True, confirm_timeout=2))
        await eventually(lambda: redis_server.client.exists("{basix}:requests"))
        ((_, fields),) = redis_server.client.xrange("{basix}:requests")
        redis_server.client.set(CommandKeys("basix").claim(fields[b"id"].decode()), "{a}:1", ex=60)
        with pytest.raises(CommandTimeout, match="hangup was seen within 2 s: its outcome is unk"):
            await hanging_up


@pytest.mark.parametrize("withdrawn", [False, True])
async def test_leader_executes_no_request_past_its_deadline_or_withdrawn(
    redis_server, pbx, withdrawn
):
    callers = [pbx.call(f"03123412{number}", to="1001") for number in (30, 31)]
    keys = CommandKeys("basix")
    for number, (caller, milliseconds) in enumerate(
        zip(callers, (60_000 if withdrawn else 0, 60_000), strict=True)
    ):
        request = Request("hangup", {"uuid": caller}, confirm=False)
        redis_server.client.eval(
            SUBMIT, 1, keys.requests, f"r{number}", milliseconds, request.to_json(), 1000, 60_000
        )
    if withdrawn:
        redis_server.client.set(keys.claim("r0"), "withdrawn")
    redis_server.client.xadd(keys.requests, {"id": "r2", "deadline": "x", "data": "no JSON"})
    async with publisher(redis_server, pbx) as one:
        await leads(one)
        await eventually(lambda: redis_server.client.llen(keys.reply("r1")))
        assert one.hung_up == [callers[1]]
    assert not redis_server.client.exists(keys.reply("r0"), keys.reply("r2"))


async def test_command_of_a_killed_leader_is_not_executed_again(redis_server, pbx):
    """The leader dies after executing it and before confirming it: the outcome is unknown."""
    callers = [pbx.call(f"03123412{number}", to="1001") for number in (30, 31)]
    arguments = pbx.connect_args
    killed = subprocess.Popen(
        [
            *(sys.executable, "-c", KILLED, redis_server.url),
            *(arguments["server"], arguments["domain"], arguments["token"]),
        ],
        env=environment(),
    )
    try:
        await eventually(lambda: redis_server.data("snapshot_end"))
        await eventually(lambda: redis_server.client.exists("{basix}:commands"))
        async with publisher(redis_server, pbx) as one, Follower(redis_server.url) as follower:
            await follower.synced(TIMEOUT)
            await eventually(redis_server.has_standby)
            with pytest.raises(
                CommandTimeout, match="hangup was seen within 8 s: its outcome is unknown"
            ):
                await follower.hangup(callers[0], confirm=True, confirm_timeout=8)
            assert killed.wait(TIMEOUT) == -9
            await leads(one)
            assert callers[0] not in pbx.snapshot()["channel"]
            await follower.synced(TIMEOUT)
            await follower.hangup(callers[1], confirm=True, confirm_timeout=TIMEOUT)
            assert one.hung_up == [callers[1]]
    finally:
        killed.kill()
        killed.wait()


async def test_lost_answer_of_redis_executes_a_command_once(redis_server, pbx):
    """The connection is cut while the reply is waited for; the outcome is found out afterwards."""
    caller = pbx.call("0312341234", to="1001")
    async with publisher(redis_server, pbx) as one, Proxy(redis_server.port) as proxy:
        await leads(one)
        async with Follower(f"redis://127.0.0.1:{proxy.port}") as follower:
            await follower.synced(TIMEOUT)
            one.gate.clear()
            hanging_up = asyncio.create_task(
                follower.hangup(caller, confirm=True, confirm_timeout=TIMEOUT)
            )
            await eventually(lambda: one.hung_up == [caller])
            links = len(proxy.links)
            for link in [*proxy.links]:
                link.cut(reset=True)
            await eventually(lambda: len(proxy.links) >= links)
            one.gate.set()
            await hanging_up
            assert caller not in pbx.snapshot()["channel"]
            assert one.hung_up == [caller]


async def test_redis_that_is_away_is_reported_and_nothing_was_sent(redis_server, pbx):
    caller = pbx.call("0312341234", to="1001")
    async with publisher(redis_server, pbx) as one, Follower(redis_server.url) as follower:
        await leads(one)
        await follower.synced(TIMEOUT)
        redis_server.kill()
        with pytest.raises(RedisFeedError):
            await follower.hangup(caller)
        assert one.hung_up == []
