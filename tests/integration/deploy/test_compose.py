"""The compose file: its commands, run as plain processes with a real Redis, go on together."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError
from support.cli_runner import run_in_process, start
from support.deployment import DEPLOY, check_arguments, compose_file, compose_services
from support.free_ports import free_port
from support.paths import DOCS
from support.waiting import TIMEOUT, eventually
from support.webhook_receiver import SECRET, WebhookReceiver

from basix_ws_cti.calllog import CallLogReader
from basix_ws_cti.exceptions import CallLogError
from basix_ws_cti.simulator import Simulator

VARIABLES = {
    "BASIX_SERVER": "bcs.brastel.com",
    "BASIX_DOMAIN": "acme",
    "WEBHOOK_URL": "https://crm.example.com/calls",
}

PROGRAMS = ("publisher-1", "publisher-2", "log", "metrics", "webhook", "web")

PASSWORDS = {"PUBLISHER-PASSWORD": "publisher-canary-1", "READER-PASSWORD": "reader-canary-2"}


# -- the file ---------------------------------------------------------------------------


def test_every_command_exists_with_its_options():
    services = compose_services(VARIABLES)
    assert {*services} == {"redis", *PROGRAMS}
    for name in PROGRAMS:
        check_arguments(services[name].command)


def test_every_secret_and_volume_is_declared_and_none_is_written_out():
    file = compose_file()
    for service in file["services"].values():
        assert {*service.get("secrets", ())} <= {*file["secrets"]}
        assert {one.partition(":")[0] for one in service.get("volumes", ())} <= {*file["volumes"]}
        assert "TOKEN" not in service.get("environment", {})
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    used = {*re.findall(r"/run/secrets/(\w+)", text)}
    assert used == {*file["secrets"]}


def test_ports_are_published_on_this_machine_only():
    for service in compose_file()["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_programs_share_the_network_of_redis_and_cannot_write_to_their_image():
    for name in PROGRAMS:
        values = compose_services(VARIABLES)[name].values
        assert values["network_mode"] == "service:redis"
        assert values["read_only"] is True
        assert values["restart"] == "unless-stopped"


def test_users_of_redis_have_the_documented_rights():
    page = (DOCS / "howto" / "fan-out.md").read_text(encoding="utf-8")
    lines = (DEPLOY / "redis-users.acl").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "user default off"
    for name, password, line in zip(("publisher", "reader"), PASSWORDS, lines[1:], strict=True):
        [documented] = re.findall(rf"^ACL SETUSER {name} (.*)$", page, re.MULTILINE)
        assert line == f"user {name} {documented.replace('PASSWORD', password)}"


# -- the programs -----------------------------------------------------------------------


class Deployment:
    """Services of the compose file as processes, with all files in one folder."""

    def __init__(self, folder, pbx, webhook_url):
        self._folder = folder
        self._pbx = pbx
        self._ports = {f":{port}": f":{free_port()}" for port in (6379, 8080, 9850)}
        arguments = pbx.connect_args
        self._services = compose_services(
            {
                "BASIX_SERVER": arguments["server"],
                "BASIX_DOMAIN": arguments["domain"],
                "WEBHOOK_URL": webhook_url,
            }
        )
        secrets = folder / "secrets"
        secrets.mkdir()
        users = (DEPLOY / "redis-users.acl").read_text(encoding="utf-8")
        for name, password in PASSWORDS.items():
            users = users.replace(name, password)
            user = name.partition("-")[0].lower()
            (secrets / f"{user}.env").write_text(f"BASIX_REDIS_PASSWORD={password}\n")
        (secrets / "redis_users").write_text(users)
        (secrets / "basix_token").write_text(arguments["token"])
        (secrets / "webhook_secret").write_text(SECRET)
        access = secrets / "wallboard_access"
        done = run_in_process("web-access", "password", access, "anna", stdin="canary-3-long\n")
        assert done.returncode == 0, done.stderr
        self.processes = {}

    def local(self, name, text):
        """Return a text of a service with the paths and ports of this test."""
        data = self._folder / f"data-{name}"
        data.mkdir(exist_ok=True)
        text = text.replace("/run/secrets", str(self._folder / "secrets"))
        text = text.replace("/data", str(data)).replace("0.0.0.0:", "127.0.0.1:")
        for port, free in self._ports.items():
            text = re.sub(rf"{port}\b", free, text)
        # The simulated PBX lives in the past.
        return text.replace("400d", "30000d")

    def start_redis(self):
        command = [self.local("redis", one) for one in self._services["redis"].command]
        port = self._ports[":6379"][1:]
        self.processes["redis"] = subprocess.Popen(
            [*command, "--port", port, "--dir", str(self._folder)], stdout=subprocess.DEVNULL
        )

    def asks_for_a_login(self):
        """Return True once Redis answers as the health check expects."""
        try:
            with Redis(port=int(self._ports[":6379"][1:]), protocol=2) as client:
                client.ping()
        except AuthenticationError:
            return True
        except RedisError:
            return False
        return False

    def start(self, name):
        service = self._services[name]
        variables = {key: self.local(name, text) for key, text in service.environment.items()}
        for file in service.env_files:
            text = (self._folder / file).read_text()
            variables |= dict([text.strip().split("=", 1)])
        with (self._folder / f"{name}.log").open("w") as log:
            self.processes[name] = start(
                *(self.local(name, one) for one in service.command),
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def log(self, name):
        return (self._folder / f"{name}.log").read_text(encoding="utf-8")

    def answer(self, url):
        """Return status and text of the answer to a request; ``None``: there is no answer."""
        try:
            with urllib.request.urlopen(self.local("test", url), timeout=TIMEOUT) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return None

    async def samples(self):
        """Return the metrics: a number by name and label values."""
        _, text = await asyncio.to_thread(self.answer, "http://127.0.0.1:9850/metrics")
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def until_answer(self, url, status):
        async with asyncio.timeout(TIMEOUT):
            while (answer := await asyncio.to_thread(self.answer, url)) is None or (
                answer[0] != status
            ):
                await asyncio.sleep(0.05)

    def logged(self):
        """Return the ids of the logged calls that ended."""
        try:
            rows = CallLogReader(self._folder / "data-log" / "calls.db").find().calls
        except CallLogError:
            return set()
        return {row.record.id for row in rows if row.record.ended is not None}

    def kill_all(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.mark.redis
@pytest.mark.slow
async def test_all_programs_go_on_after_a_publisher_was_killed_and_end_cleanly(tmp_path):
    async with (
        Simulator(calls=False, speed=0.001) as pbx,
        WebhookReceiver() as receiver,
    ):
        deployment = Deployment(tmp_path, pbx, receiver.url)
        try:
            await use(deployment, pbx, receiver)
        except BaseException as error:
            for name in deployment.processes.keys() - {"redis"}:
                error.add_note(f"{name}:\n{deployment.log(name)}")
            raise
        finally:
            deployment.kill_all()


async def use(deployment, pbx, receiver):
    deployment.start_redis()
    await eventually(deployment.asks_for_a_login)
    for name in PROGRAMS:
        deployment.start(name)
    await deployment.until_answer("http://127.0.0.1:9850/healthy", 200)
    await deployment.until_answer("http://127.0.0.1:8080/status", 401)  # a login is needed
    await eventually(lambda: "logging calls" in deployment.log("log"))
    await eventually(lambda: "ready to take over" in deployment.log(standby_of(deployment)))

    async def all_know(call):
        await eventually(lambda: call in deployment.logged())
        await eventually(lambda: any(is_end(one) for one in receiver.of_call(call)))
        for one in receiver.of_call(call):
            one.verify()

    calls = []
    async with asyncio.timeout(TIMEOUT):
        while not (receiver.requests and deployment.logged()):  # they may not follow yet
            calls.append(make_call(pbx))
            await asyncio.sleep(0.5)
    await all_know(calls[-1])
    leader, standby = leader_of(deployment), standby_of(deployment)
    deployment.processes[leader].kill()
    await eventually(lambda: "leader: publishing" in deployment.log(standby))
    calls.append(make_call(pbx))
    await all_know(calls[-1])
    found = await deployment.samples()
    while found["basix_calls_ended_total", "inbound", "answered"] < len(calls):  # it is cached
        found = await deployment.samples()
    assert found["basix_feed_gaps_total",] == 0
    assert deployment.answer("http://127.0.0.1:9850/healthy") == (200, "feed: synced\n")

    running = {name: deployment.processes[name] for name in PROGRAMS if name != leader}
    for process in running.values():
        process.send_signal(signal.SIGTERM)
    for name, process in running.items():
        assert await asyncio.to_thread(process.wait, TIMEOUT) == 130, name
        assert "Traceback" not in deployment.log(name)
        assert "canary" not in deployment.log(name)
    assert calls[-1] in deployment.logged()


def make_call(pbx):
    """Let a call be answered and end; return its id."""
    call = pbx.call("0312341234", to="1001")
    pbx.answer(call)
    pbx.advance(30)
    pbx.hangup(call)
    return call


def is_end(request):
    return request.type.endswith("ended")


def leader_of(deployment):
    [leader] = [name for name in PROGRAMS[:2] if "leader: publishing" in deployment.log(name)]
    return leader


def standby_of(deployment):
    """Return the publisher that does not lead; before there is a leader, any one."""
    leading = [name for name in PROGRAMS[:2] if "leader: publishing" in deployment.log(name)]
    [standby, *_] = [name for name in PROGRAMS[:2] if name not in leading]
    return standby
