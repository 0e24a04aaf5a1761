"""The web wallboard behind nginx and Caddy, with the configurations of docs/deploy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
from zoneinfo import ZoneInfo

import httpx2
import pytest
import trustme
from support.free_ports import free_port
from support.paths import DOCS
from support.programs import find_program
from support.sizes import NIGHTLY
from support.staged_simulator import quiet, talk
from support.waiting import eventually
from support.web_frames import apply_frame
from support.web_server import open_stream, serve

from basix_ws_cti.web import create_app
from basix_ws_cti.web.access_file import AccessFile, DisplayLink, hash_token, new_token
from basix_ws_cti.web.throttle import Throttle

pytestmark = pytest.mark.slow

NAME = "wallboard.example.com"
FRAME = 10  # seconds; the first frame takes far less than one
IDLE = 600 if NIGHTLY else 11  # seconds, in which the server sends heartbeats only


class RecordingThrottle(Throttle):
    """Notes the peers of failed logins."""

    def __init__(self):
        super().__init__()
        self.peers = []

    def fail(self, account, peer):
        self.peers.append(peer)
        super().fail(account, peer)


def nginx(folder, port, target):
    """Return the command that runs the documented configuration of nginx."""
    text = (DOCS / "deploy" / "nginx-wallboard.conf").read_text(encoding="utf-8")
    changes = {
        "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
        "listen [::]:443 ssl http2;": "",
        f"/etc/ssl/certs/{NAME}.pem": str(folder / "chain.pem"),
        f"/etc/ssl/private/{NAME}.key": str(folder / "key.pem"),
        "127.0.0.1:8080;": f"127.0.0.1:{target};",
        NAME: "localhost",
    }
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = (
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;"
        f"events {{}} http {{ access_log off; {temporary} {replaced(text, changes)} }}"
    )
    (folder / "nginx.conf").write_text(main, encoding="utf-8")
    return [find_program("nginx"), "-c", str(folder / "nginx.conf"), "-e", f"{folder}/error.log"]


def caddy(folder, port, target):
    """Return the command that runs the documented configuration of Caddy."""
    text = (DOCS / "deploy" / "Caddyfile-wallboard").read_text(encoding="utf-8")
    changes = {
        f"\n{NAME} {{": f"\nhttps://localhost:{port} {{\n\ttls {folder}/chain.pem {folder}/key.pem",
        "127.0.0.1:8080": f"127.0.0.1:{target}",
    }
    general = f"{{\n\tadmin off\n\tauto_https off\n\tstorage file_system {folder}/caddy\n}}\n"
    (folder / "Caddyfile").write_text(general + replaced(text, changes), encoding="utf-8")
    options = ["--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    return [find_program("caddy"), "run", *options]


def replaced(text, changes):
    """Return a text with each of these parts, which must be there, replaced."""
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


@contextlib.asynccontextmanager
async def running_proxy(command, folder, target):
    """Run a proxy in front of a port; yield its port and the TLS context of a browser."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    chain = b"".join(one.bytes() for one in certificate.cert_chain_pems)
    (folder / "chain.pem").write_bytes(chain)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    port = free_port()
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command(folder, port, target),
            stdout=output,
            stderr=output,
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
        )
        try:
            async with httpx2.AsyncClient(
                verify=context, base_url=f"https://localhost:{port}"
            ) as http:

                async def answers():
                    with contextlib.suppress(httpx2.TransportError):
                        return await http.get("/status")
                    return None

                async with asyncio.timeout(30):
                    while await answers() is None:
                        await asyncio.sleep(0.02)
                        assert process.poll() is None, (folder / "output").read_text()
                yield port, context, http
        finally:
            process.terminate()
            process.wait()


with_each_proxy = pytest.mark.parametrize(
    "command",
    [
        pytest.param(nginx, marks=pytest.mark.nginx),
        pytest.param(caddy, marks=pytest.mark.caddy),
    ],
)


@with_each_proxy
async def test_streams_pass_the_proxy_at_once_and_addresses_cannot_be_spoofed(command, tmp_path):
    token = new_token()
    access = AccessFile(tmp_path / "access")
    access.add(DisplayLink("lobby", hash_token(token)))
    access.path.write_text("\n".join(access.lines()), encoding="utf-8")
    staged = quiet()
    app = create_app(staged, zone=ZoneInfo("UTC"), access_file=access.path)
    app.gatekeeper.throttle = throttle = RecordingThrottle()
    async with contextlib.AsyncExitStack() as stack:
        target = await stack.enter_async_context(serve(app, proxies=["127.0.0.1/32"]))
        port, context, http = await stack.enter_async_context(
            running_proxy(command, tmp_path, target)
        )
        link = await http.get(f"/display/{token}?mode=tv")
        assert (link.status_code, link.headers["location"]) == (303, "../?mode=tv")
        assert "secure" in link.headers["set-cookie"].lower()
        cookie = link.headers["set-cookie"].partition(";")[0]

        async with open_stream(port, headers=[f"Cookie: {cookie}"], ssl=context) as stream:
            async with asyncio.timeout(FRAME):
                frames = stream.frames()
                _, event, document = await anext(frames)
                assert event == "snapshot"
                line = talk(staged)
                while not document["calls"]:
                    _, event, content = await anext(frames)
                    document = apply_frame(document, event, content)
            assert [*document["calls"]] == [line.uuid]
        await eventually(lambda: app.wallboard.streams == 0)

        spoofed = {"X-Forwarded-For": "203.0.113.9", "Sec-Fetch-Site": "same-origin"}
        login = await http.post(
            "/login",
            content=json.dumps({"name": "anna", "password": "wrong"}),
            headers={"Content-Type": "application/json", **spoofed},
        )
        assert (login.status_code, throttle.peers) == (401, ["127.0.0.1"])
        other = await http.get("/status", headers={"Host": "evil.example"})
        assert b"state" not in other.content  # Caddy answers it with an empty page


@with_each_proxy
async def test_idle_streams_stay_open_behind_the_proxy(command, tmp_path, monkeypatch):
    monkeypatch.setattr("basix_ws_cti.web.stream.MAX_DURATION", 10 * IDLE)
    app = create_app(quiet(), zone=ZoneInfo("UTC"))
    async with (
        serve(app, proxies=["127.0.0.1/32"]) as target,
        running_proxy(command, tmp_path, target) as (port, context, _),
        open_stream(port, ssl=context) as stream,
    ):
        frames = stream.frames()
        first, event, _ = await anext(frames)
        assert event == "snapshot"
        loop = asyncio.get_running_loop()
        end = loop.time() + IDLE
        numbers = []
        while loop.time() < end:
            async with asyncio.timeout(60):
                number, event, _ = await anext(frames)
            assert event == "heartbeat"
            numbers.append(number)
        assert numbers == [*range(first + 1, first + 1 + len(numbers))]
        assert app.wallboard.streams == 1


async def test_forwarded_headers_count_from_named_proxies_only(tmp_path):
    access = AccessFile(tmp_path / "access")
    access.path.write_text("", encoding="utf-8")
    app = create_app(quiet(), zone=ZoneInfo("UTC"), access_file=access.path)
    app.gatekeeper.throttle = throttle = RecordingThrottle()
    for proxies in ([], ["10.0.0.0/8"], ["127.0.0.0/8"]):
        async with (
            serve(app, proxies=proxies, lifespan="off") as port,
            httpx2.AsyncClient() as http,
        ):
            answer = await http.post(
                f"http://localhost:{port}/login",
                content=json.dumps({"name": f"name{proxies}", "password": "wrong"}),
                headers={
                    "Content-Type": "application/json",
                    "X-Forwarded-For": "203.0.113.9",
                    "Origin": f"http://localhost:{port}",
                },
            )
            assert answer.status_code == 401
    await app.wallboard.stop()
    assert throttle.peers == ["127.0.0.1", "127.0.0.1", "203.0.113.9"]
