"""Permissions of Redis: the documented lists are enough, and ``doctor`` names what is missing."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from support.cli_runner import run_in_process
from support.paths import DOCS
from support.stream_source import StreamSource
from support.waiting import TIMEOUT, eventually

from basix_ws_cti import Backoff, Client, CommandTimeout
from basix_ws_cti.fanout import Follower, Publisher
from basix_ws_cti.simulator import Simulator

pytestmark = [pytest.mark.redis, pytest.mark.slow]

PAGE = (DOCS / "howto" / "fan-out.md").read_text(encoding="utf-8")


def documented_rules(user):
    """Return the rules that the documentation gives a user, as arguments of ACL SETUSER."""
    [line] = re.findall(rf"^ACL SETUSER {user} (.*)$", PAGE, re.MULTILINE)
    return line.replace(">PASSWORD", ">hunter22-secret").split()


def create_user(server, user, *changes):
    rules = documented_rules(user)
    server.client.execute_command("ACL", "SETUSER", user, "reset", *rules, *changes)
    server.client.execute_command("ACL", "LOG", "RESET")
    return f"redis://{user}:hunter22-secret@127.0.0.1:{server.port}"


def commands_of(user):
    return [rule for rule in documented_rules(user) if rule.startswith("+")]


async def test_publishers_need_only_the_documented_commands(redis_server):
    """Start, takeover, a lost stream, and the end of two publishers leave no entry in the log."""
    url = create_user(redis_server, "publisher")
    async with Simulator(calls=False, speed=0.001, users=5) as pbx:
        publishers = [
            Publisher(url, lambda: Client(**pbx.connect_args, full_events=True)) for _ in range(3)
        ]
        tasks = [asyncio.create_task(one.run()) for one in publishers]
        roles = ["cold", "leader", "standby"]
        await eventually(lambda: sorted(one.status.role for one in publishers) == roles)
        redis_server.client.delete("basix")
        await eventually(lambda: redis_server.data("snapshot_end"))
        redis_server.client.xadd("basix", {"a": "b"}, id="18446744073709551614-0")
        redis_server.client.xdel("basix", "18446744073709551614-0")
        redis_server.client.delete("basix")
        leader = [one.status.role for one in publishers].index("leader")
        tasks[leader].cancel()
        await asyncio.wait([tasks[leader]])
        await eventually(lambda: "leader" in [one.status.role for one in publishers])
        await eventually(lambda: redis_server.data("snapshot_end"))
        problems = [one.status.problem for one in publishers]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    assert problems == [None] * 3
    assert redis_server.client.execute_command("ACL", "LOG") == []


def examine(url):
    env = {"BASIX_REDIS_PASSWORD": "hunter22-secret"}
    done = run_in_process(
        "doctor", "--json", "--redis", url.replace(":hunter22-secret", ""), env=env
    )
    assert "hunter22" not in done.stdout + done.stderr
    return {finding["step"]: finding for finding in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("user", ["publisher", "reader"])
def test_doctor_names_each_missing_command(redis_server, user):
    role = {"publisher": "publish", "reader": "read"}[user]
    url = create_user(redis_server, user)
    findings = examine(url)
    assert findings["permissions"]["details"][f"missing_for_{role}"] == []
    for command in commands_of(user):
        url = create_user(redis_server, user, command.replace("+", "-"))
        findings = examine(url)
        name = command.removeprefix("+").replace("|", " ").upper()
        assert findings["permissions"]["details"][f"missing_for_{role}"] == [name]


@pytest.mark.parametrize(
    ("user", "roles"),
    [
        ("commanding-publisher", ("publish", "execute_commands")),
        ("operator", ("read", "send_commands")),
    ],
)
def test_doctor_names_each_command_that_is_missing_for_commands(redis_server, user, roles):
    def missing(*changes):
        details = examine(create_user(redis_server, user, *changes))["permissions"]["details"]
        return {name for role in roles for name in details[f"missing_for_{role}"]}

    assert missing() == set()
    for command in {*commands_of(user)} - {"+eval", "+pexpire"}:
        name = command.removeprefix("+").replace("|", " ").upper()
        assert missing(command.replace("+", "-")) == {name}
    assert "EVAL" in missing("-eval")
    assert "PEXPIRE" in missing("-pexpire")


async def test_commands_need_only_the_documented_permissions(redis_server):
    publisher_url = create_user(redis_server, "commanding-publisher")
    follower_url = create_user(redis_server, "operator")
    async with Simulator(calls=False, users=5) as pbx:
        publisher = Publisher(
            publisher_url,
            lambda: Client(**pbx.connect_args, full_events=True),
            allow_commands=True,
        )
        task = asyncio.create_task(publisher.run())
        await eventually(lambda: redis_server.client.exists("{basix}:commands"))
        async with Follower(follower_url) as follower:
            await follower.synced()
            caller = pbx.call("0312341234", to="1001")
            await follower.hangup(caller, confirm=True, confirm_timeout=TIMEOUT)
            with pytest.raises(CommandTimeout):
                await follower.hangup(caller, confirm=True, confirm_timeout=2)
        task.cancel()
        await asyncio.wait([task])
    assert redis_server.client.execute_command("ACL", "LOG") == []


@pytest.mark.parametrize("command", ["+exists", "+xread", "+xrange", "+xrevrange"])
async def test_a_follower_names_the_command_that_its_user_may_not_run(redis_server, command):
    """It continues by itself once the command is allowed."""
    assert commands_of("reader") == ["+exists", "+xread", "+xrange", "+xrevrange"]
    source = StreamSource(redis_server.client)
    source.begin()
    url = create_user(redis_server, "reader", command.replace("+", "-"))
    async with Follower(url, backoff=Backoff(0.05, 0.1)) as follower:
        errors = []
        follower.on_error(errors.append)
        await eventually(lambda: errors)
        assert {error.cause for error in errors} == {"no_permission"}
        name = command.removeprefix("+").upper()
        assert f"the user may not run {name}: allow it in the ACL" in str(errors[0])
        assert "hunter22" not in str(errors[0])
        create_user(redis_server, "reader")
        await follower.synced()
        assert len(follower.mirror.users) == 3


def names_no_command_of_a_script(server):
    """Return True for Redis 7.0 and older: the error does not say which command was refused."""
    info = server.client.info("server")
    version = tuple(map(int, info["redis_version"].split(".")[:2]))
    return "valkey_version" not in info and version < (7, 2)


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("+eval", "may not run EVAL:"),
        ("+xrange", "may not run XRANGE:"),
        ("+get", "may not run GET:"),
        ("+xadd", "may not run XADD:"),
    ],
)
async def test_a_publisher_names_the_command_that_its_user_may_not_run(redis_server, command, text):
    if command == "+xadd" and names_no_command_of_a_script(redis_server):
        text = "a permission is missing: `basix-ws-cti doctor` names it"
    url = create_user(redis_server, "publisher", command.replace("+", "-"))
    problems = []
    async with Simulator(calls=False, speed=0.001, users=5) as pbx:
        publisher = Publisher(
            url,
            lambda: Client(**pbx.connect_args, full_events=True),
            on_status=lambda status: problems.append(str(status.problem)),
        )
        task = asyncio.create_task(publisher.run())
        await eventually(lambda: any(text in one for one in problems))
        create_user(redis_server, "publisher")
        await eventually(lambda: redis_server.data("snapshot_end"))
        task.cancel()
        await asyncio.wait([task])


def test_doctor_warns_about_eviction_and_missing_persistence(redis_server):
    url = redis_server.url
    redis_server.client.config_set("maxmemory-policy", "allkeys-lru")
    done = run_in_process("doctor", "--redis", url)
    assert done.returncode == 0
    assert "a full memory may delete the stream: maxmemory-policy is allkeys-lru" in done.stdout
    assert "a restart loses the stream: AOF is off" in done.stdout
    redis_server.client.config_set("maxmemory-policy", "noeviction")
    redis_server.client.config_set("appendonly", "yes")
    done = run_in_process("doctor", "--redis", url)
    assert "warning" not in done.stdout
    assert "the user may publish and read" in done.stdout


def test_doctor_fails_for_a_server_that_is_not_there(redis_server):
    redis_server.kill()
    done = run_in_process("doctor", "--redis", redis_server.url)
    assert done.returncode == 4
    assert "cannot connect: Connection refused" in done.stdout
