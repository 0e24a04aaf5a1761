"""Encrypted connections to a real Redis: ``rediss://`` with a private CA."""

from __future__ import annotations

import asyncio
import re
import subprocess

import pytest
import trustme
from support.cli_runner import run_in_process
from support.free_ports import free_port
from support.programs import find_program
from support.redis_server import RedisServer
from support.waiting import eventually

from basix_ws_cti import Backoff, Client
from basix_ws_cti.fanout import Follower, Publisher
from basix_ws_cti.simulator import Simulator

pytestmark = [pytest.mark.redis, pytest.mark.slow]

SECRET = "hunter22-secret"
QUICK = Backoff(0.05, 0.1)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


class TlsServer:
    """Redis that accepts TLS on ``tls_port``, with a certificate for ``name``, and a password."""

    def __init__(self, folder, authority, name):
        refused = subprocess.run(
            [find_program("redis-server"), "--tls-port", "0", "--tls-session-cache-size", "x"],
            capture_output=True,
            text=True,
            check=False,
        )
        if re.search("Bad directive|unknown", refused.stdout + refused.stderr):
            pytest.skip("redis-server was built without TLS")
        certificate = authority.issue_cert(name)
        certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        authority.cert_pem.write_to_path(folder / "authority.pem")
        self.tls_port = free_port()
        self.server = RedisServer(folder)
        self.server.start(
            tls_port=self.tls_port,
            tls_cert_file=folder / "cert.pem",
            tls_key_file=folder / "key.pem",
            tls_ca_cert_file=folder / "authority.pem",
            tls_auth_clients="no",
        )
        self.server.client.acl_setuser(
            "me", enabled=True, passwords=[f"+{SECRET}"], categories=["+@all"], keys=["*"]
        )
        self.url = f"rediss://me:{SECRET}@127.0.0.1:{self.tls_port}"


@pytest.fixture
def start(tmp_path, authority):
    started = []

    def run(name="127.0.0.1"):
        started.append(TlsServer(tmp_path, authority, name))
        return started[-1]

    yield run
    for one in started:
        one.server.close()


async def test_feed_passes_an_encrypted_redis(start, ca_file):
    redis = start()
    async with Simulator(calls=False, speed=0.001, users=5) as pbx:
        publisher = Publisher(
            redis.url, lambda: Client(**pbx.connect_args, full_events=True), ca_file=ca_file
        )
        task = asyncio.create_task(publisher.run())
        async with Follower(redis.url, ca_file=ca_file) as follower:
            await follower.synced()
            call = pbx.call("0312341234", to="1001")
            await eventually(lambda: call in follower.mirror.channels or follower.calls)
        task.cancel()
        await asyncio.wait([task])
    assert publisher.status.problem is None


@pytest.mark.parametrize(
    ("name", "trusts", "problem"),
    [
        ("127.0.0.1", False, "certificate verify failed"),
        ("redis.example.com", True, "certificate verify failed"),
    ],
    ids=["unknown authority", "another host"],
)
async def test_certificate_that_does_not_fit_is_refused(start, ca_file, name, trusts, problem):
    """Before the password is sent; the error names server and reason."""
    redis = start(name)
    errors = []
    given = {"ca_file": ca_file} if trusts else {}
    async with Follower(redis.url, backoff=QUICK, **given) as follower:
        follower.on_error(errors.append)
        await eventually(lambda: errors)
    assert errors[0].cause == "unreachable"
    assert f"127.0.0.1:{redis.tls_port}" in str(errors[0])
    assert problem in str(errors[0])
    assert SECRET not in str(errors[0])
    assert redis.server.client.acl_log() == []  # no failed login


async def test_plain_connection_to_an_encrypted_port_is_an_error(start):
    redis = start()
    errors = []
    url = redis.url.replace("rediss", "redis")
    async with Follower(url, backoff=QUICK) as follower:
        follower.on_error(errors.append)
        await eventually(lambda: errors)
    assert errors[0].cause in {"unreachable", "timeout"}
    assert SECRET not in str(errors[0])


def test_doctor_shows_encryption(start, ca_file):
    redis = start()
    env = {"BASIX_REDIS_PASSWORD": SECRET}
    url = redis.url.replace(f":{SECRET}", "")
    done = run_in_process("doctor", "--redis", url, "--redis-ca-file", ca_file, env=env)
    assert done.returncode == 0
    assert f"connected to 127.0.0.1:{redis.tls_port}" in done.stdout
    assert "with TLS" in done.stdout
    untrusted = run_in_process("doctor", "--redis", url, env=env)
    assert untrusted.returncode == 4
    assert "certificate verify failed" in untrusted.stdout
    assert SECRET not in done.stdout + untrusted.stdout + untrusted.stderr
