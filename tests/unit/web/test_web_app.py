"""Requests to the web wallboard: access, checks, headers, files, commands."""

from __future__ import annotations

import asyncio
import logging
import re
from zoneinfo import ZoneInfo

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from support.staged_simulator import quiet
from support.web_requests import ask, post

from basix_ws_cti import CommandTimeout, NotConnectedError
from basix_ws_cti.web import create_app
from basix_ws_cti.web.access_file import AccessFile, Account, DisplayLink, hash_token, new_token
from basix_ws_cti.web.json_requests import MAX_BODY
from basix_ws_cti.web.passwords import Cost, PasswordHash
from basix_ws_cti.web.view_key import Selection

PASSWORD = "correct horse"
TOKEN = new_token()
READ = ["/status", "/state", "/stream"]
LOGIN = {"name": "anna", "password": PASSWORD}


@pytest.fixture
def access_file(tmp_path):
    file = AccessFile(tmp_path / "access")
    file.add(Account("anna", PasswordHash.of(PASSWORD, Cost(2, 1, 1))))
    file.add(DisplayLink("lobby", hash_token(TOKEN), Selection.of(["no-such-queue"], [])))
    file.path.write_text("\n".join(file.lines()), encoding="utf-8")
    return file.path


@pytest.fixture
async def make_app():
    """Return a function that makes an application, which is stopped at the end of the test."""
    apps = []

    def make(**options):
        options = {"zone": ZoneInfo("UTC"), **options}
        apps.append(create_app(options.pop("source", None) or quiet(), **options))
        return apps[-1]

    yield make
    for app in apps:
        await app.wallboard.stop()


def cookie_of(answer):
    """Return the request header for the cookie that an answer sets."""
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


class FakeTarget:
    """Records commands, or fails."""

    def __init__(self, error=None):
        self.sent = []
        self.error = error

    async def _note(self, *command):
        if self.error is not None:
            raise self.error
        self.sent.append(command)

    async def hangup(self, uuid, *, confirm=False):
        await self._note("hangup", uuid, confirm)

    async def park(self, uuid, *, confirm=False):
        await self._note("park", uuid, confirm)

    async def transfer(self, uuid, destination):
        await self._note("transfer", uuid, destination)

    async def call_user(self, destination, *, user_id):
        await self._note("call", user_id, destination)


# -- access ------------------------------------------------------------------------------------


async def test_everybody_reads_without_an_access_file(make_app):
    app = make_app()
    assert (await ask(app, "/status")).json == {"state": "ok", "commands": False}
    assert (await ask(app, "/state")).status == 200


async def test_data_needs_a_login_and_the_page_does_not(make_app, access_file):
    app = make_app(access_file=access_file)
    for path in READ:
        answer = await ask(app, path)
        assert answer.status == 401, path
    assert (await ask(app, "/status")).json == {"state": "login"}
    assert (await ask(app, "/texts?lang=ja")).status == 200
    assert (await ask(app, "/state", headers={"cookie": "basix_wallboard=guessed"})).status == 401


@pytest.mark.slow
async def test_login_gives_access_until_logout(make_app, access_file):
    app = make_app(access_file=access_file)
    wrong = await post(app, "/login", {**LOGIN, "password": "wrong"})
    assert (wrong.status, "set-cookie" in wrong.headers) == (401, False)
    answer = await post(app, "/login", LOGIN)
    assert answer.status == 200
    cookie = cookie_of(answer)
    assert (await ask(app, "/status", headers=cookie)).json["name"] == LOGIN["name"]
    assert (await ask(app, "/state", headers=cookie)).status == 200
    assert (await post(app, "/logout", {}, headers=cookie)).status == 200
    assert (await ask(app, "/state", headers=cookie)).status == 401


@pytest.mark.parametrize(("scheme", "is_secure"), [("http", False), ("https", True)])
async def test_cookies_are_for_this_server_and_place_only(make_app, access_file, scheme, is_secure):
    app = make_app(access_file=access_file)
    answer = await post(app, "/login", LOGIN, scheme=scheme, root="/wall")
    parts = {*answer.headers["set-cookie"].lower().split("; ")[1:]}
    assert {"httponly", "samesite=strict", "path=/wall/"} <= parts
    assert ("secure" in parts) is is_secure
    assert not any(part.startswith(("domain", "max-age")) for part in parts)


async def test_a_display_link_shows_its_part_only_and_sends_no_commands(make_app, access_file):
    target = FakeTarget()
    app = make_app(access_file=access_file, commands=target)
    answer = await ask(app, f"/display/{TOKEN}?mode=tv")
    assert (answer.status, answer.headers["location"]) == (303, "../?mode=tv")
    cookie = cookie_of(answer)
    assert "name" not in (await ask(app, "/status", headers=cookie)).json
    group = next(iter(app.wallboard.source.pbx.groups))
    document = (await ask(app, f"/state?queue={group}", headers=cookie)).json
    assert (document["queues"], document["agents"], document["commands"]) == ({}, {}, False)
    refused = await post(app, "/commands/hangup", {"channel": "x"}, headers=cookie)
    assert (refused.status, target.sent) == (403, [])
    assert (await ask(app, "/display/guessed")).status == 404


@pytest.mark.parametrize(
    ("path", "content"),
    [("/login", LOGIN), ("/logout", {}), ("/commands/hangup", {"channel": "x"})],
)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "text/plain"}, 415),
    ],
)
async def test_requests_with_an_effect_come_from_the_page(make_app, path, content, headers, status):
    target = FakeTarget()
    app = make_app(commands=target)
    assert (await post(app, path, content, headers=headers)).status == status
    assert target.sent == []


async def test_a_post_without_origin_is_refused(make_app):
    answer = await ask(
        make_app(), "/login", method="POST", headers={"content-type": "application/json"}
    )
    assert answer.status == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"name": 1, "password": "x"}', 400),
        (b'{"name": "x"}', 400),
        (b"\xff", 400),
        (b"[" * 4000, 400),
        (b'{"name": "%s"}' % (b"x" * MAX_BODY), 413),
    ],
)
async def test_bodies_that_are_no_login_are_refused(make_app, access_file, body, status):
    headers = {"content-type": "application/json", "sec-fetch-site": "same-origin"}
    app = make_app(access_file=access_file)
    answer = await ask(app, "/login", method="POST", headers=headers, body=body)
    assert answer.status == status


# -- checks and headers ------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8080", "192.0.2.7"])
@pytest.mark.parametrize("path", ["/", "/state", "/stream", "/static/main.js", "/nowhere"])
async def test_other_hosts_get_nothing(make_app, host, path):
    answer = await ask(make_app(), path, headers={"host": host})
    assert (answer.status, answer.json) == (421, {"error": "unknown host"})


async def test_forwarded_headers_have_no_meaning_for_the_application(make_app, access_file):
    app = make_app(access_file=access_file)
    spoofed = {"x-forwarded-proto": "https", "x-forwarded-host": "evil.example"}
    answer = await post(app, "/login", LOGIN, headers=spoofed)
    assert "secure" not in answer.headers["set-cookie"].lower()
    assert (await ask(app, "/status", headers={"x-forwarded-host": "evil"})).status == 401


@pytest.mark.parametrize(
    ("path", "caching"),
    [
        ("/", "no-cache"),
        ("/texts", "no-cache"),
        ("/status", "no-store, no-transform"),
        ("/state", "no-store, no-transform"),
        ("/nowhere", "no-store, no-transform"),
    ],
)
async def test_every_answer_has_the_security_headers(make_app, path, caching):
    answer = await ask(make_app(), path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    if answer.status != 404 or path != "/":
        assert answer.headers["cache-control"] == caching


@pytest.mark.parametrize(
    "query", ["queue=" + "x" * 101, "&".join(f"queue={number}" for number in range(201))]
)
async def test_filters_are_bounded(make_app, query):
    assert (await ask(make_app(), f"/state?{query}")).status == 400


async def test_hostile_names_are_escaped_json(make_app):
    """The page inserts texts as texts; the server makes control characters visible."""
    hostile = "<img src=x onerror=alert(1)></script>{{7*7}}\u202e\x1b[31m" + "x" * 500
    app = make_app(site="site")
    source = app.wallboard.source
    group = next(iter(source.pbx.groups.values()))
    object.__setattr__(source.mirror.groups[group.id], "label", hostile)
    document = (await ask(app, "/state")).json
    name = document["queues"][str(group.id)]["name"]
    assert name.startswith("<img src=x onerror=alert(1)></script>{{7*7}}\\u202e\\x1b[31m")
    assert len(name) < 250


# -- files ---------------------------------------------------------------------------------------


async def test_files_have_a_hash_in_their_address_and_are_kept(make_app):
    app = make_app()
    page = await ask(app, "/")
    if page.status == 404:
        pytest.skip("the page is not built")
    addresses = re.findall(r'(?:src|href)="(static/[^"]+)"', page.body.decode())
    assert addresses
    for address in addresses:
        answer = await ask(app, f"/{address}", headers={"accept-encoding": "gzip"})
        assert answer.status == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        again = await ask(app, f"/{address}", headers={"if-none-match": answer.headers["etag"]})
        assert again.status == 304


@pytest.mark.parametrize("name", ["../app.py", "..%2fapp.py", "/etc/passwd", "", "index.htm"])
async def test_other_files_are_not_served(make_app, name):
    assert (await ask(make_app(), f"/static/{name}")).status == 404


# -- commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "sent"),
    [
        ("hangup", {"channel": "u-1"}, ("hangup", "u-1", True)),
        ("park", {"channel": "u-1"}, ("park", "u-1", True)),
        (
            "transfer",
            {"channel": "u-1", "destination": "0312341234"},
            ("transfer", "u-1", "0312341234"),
        ),
        ("call", {"user": "7", "destination": "0312341234"}, ("call", 7, "0312341234")),
    ],
)
async def test_commands_are_sent_and_logged_without_numbers(make_app, caplog, name, content, sent):
    target = FakeTarget()
    app = make_app(commands=target, caller=target)
    caplog.set_level(logging.INFO, "basix_ws_cti.web.commands")
    answer = await post(app, f"/commands/{name}", content)
    assert (answer.status, target.sent) == (200, [sent])
    assert f"command: {name} by -" in caplog.text
    assert "0312341234" not in caplog.text


@pytest.mark.parametrize(
    ("error", "status"),
    [(CommandTimeout("hangup", 5), 504), (NotConnectedError("no connection"), 503)],
)
async def test_a_command_that_fails_says_so(make_app, error, status):
    app = make_app(commands=FakeTarget(error))
    assert (await post(app, "/commands/hangup", {"channel": "u-1"})).status == status


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/commands/explode", {"channel": "x"}, 404),
        ("/commands/call", {"user": "7", "destination": "1"}, 404),  # without a way to call
        ("/commands/hangup", {}, 400),
    ],
)
async def test_commands_that_do_not_exist_are_refused(make_app, path, content, status):
    target = FakeTarget()
    assert (await post(make_app(commands=target), path, content)).status == status
    assert target.sent == []


@pytest.mark.parametrize("starts_calls", [False, True])
async def test_a_document_says_which_commands_are_possible(make_app, starts_calls):
    target = FakeTarget()
    app = make_app(commands=target, caller=target if starts_calls else None)
    document = (await ask(app, "/state")).json
    assert (document["commands"], document["starts_calls"]) == (True, starts_calls)


async def test_without_allowed_commands_nothing_is_sent(make_app):
    app = make_app()
    assert (await post(app, "/commands/hangup", {"channel": "x"})).status == 403
    assert (await ask(app, "/state")).json["commands"] is False


# -- mounted -------------------------------------------------------------------------------------


async def test_the_application_can_be_mounted_under_a_path(make_app):
    host = Starlette(routes=[Mount("/wall", make_app())])
    assert (await ask(host, "/wall/state")).json["feed"]["state"] == "live"
    assert (await ask(host, "/wall/status")).status == 200


# -- many logins ---------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_thousand_wrong_passwords_do_not_keep_out_the_right_one(
    make_app, access_file, monkeypatch
):
    monkeypatch.setattr("basix_ws_cti.web.throttle.FIRST_DELAY", 0.001)
    monkeypatch.setattr("basix_ws_cti.web.throttle.LONGEST_DELAY", 0.01)
    app = make_app(access_file=access_file)

    async def try_wrong(number):
        return (await post(app, "/login", {**LOGIN, "password": f"wrong {number}"})).status

    attack = asyncio.gather(*map(try_wrong, range(1000)))
    while (answer := await post(app, "/login", LOGIN)).status == 429:
        await asyncio.sleep(0.01)
    assert answer.status == 200
    assert {*await attack} == {401, 429}
    assert (await post(app, "/login", LOGIN)).status == 200
