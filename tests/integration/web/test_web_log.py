"""Figures of today from a call log, across restarts of the web wallboard, and the report page."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from support.staged_simulator import quiet
from support.staged_wallboard import document_of, take_events, wallboard_of
from support.web_requests import ask

from basix_ws_cti.calllog import CallLog
from basix_ws_cti.simulator import Person
from basix_ws_cti.web import create_app
from basix_ws_cti.web.access_file import AccessFile, DisplayLink, hash_token, new_token
from basix_ws_cti.web.day_log import restore_day
from basix_ws_cti.web.view_key import Selection

pytestmark = pytest.mark.slow

COUNTS = ("offered", "answered", "abandoned", "abandon_rate", "service_level", "average_answer")


def counts(document):
    return {name: document["figures"][name]["value"] for name in COUNTS}


async def log_calls(path, model):
    """Log the calls that have ended and those that go on."""
    async with CallLog(path) as log:
        for call in (*model.ended_calls.values(), *model.source.calls.values()):
            log.add(call)
        await log.flush()


def queue_calls(staged):
    """Let one call be answered, one be abandoned, one talk, and one wait."""
    group = next(iter(staged.pbx.groups.values()))
    for number, is_answered, ends in (
        ("0611110001", True, True),
        ("0611110002", False, True),
        ("0611110003", True, False),
        ("0611110004", False, False),
    ):
        line = staged.pbx.receive(Person(number), "0501234567")
        staged.pbx.call_group(line, group)
        staged.advance(7)
        if is_answered:
            staged.pbx.connect(staged.pbx.ringing_for(line)[0])
            staged.advance(30)
        if ends:
            staged.pbx.hang_up(line)


async def test_a_restart_keeps_the_figures_of_today(tmp_path):
    staged = quiet()
    staged.advance(9 * 3600)
    first = wallboard_of(staged)
    queue_calls(staged)
    take_events(first, staged)
    path = tmp_path / "calls.db"
    await log_calls(path, first.model)
    before = document_of(first)
    assert counts(before) == {
        "offered": 4,
        "answered": 2,
        "abandoned": 1,
        "abandon_rate": 1 / 3,
        "service_level": 2 / 3,
        "average_answer": 7.0,
    }

    second = wallboard_of(staged)
    second.counting_from = await restore_day(path, second.model.stats, staged.now())
    second.draw()
    after = document_of(second)
    assert counts(after) == counts(before)
    assert after["queues"] == before["queues"]
    assert after["day"] == before["day"]
    assert after["agents"] == before["agents"]
    assert after["counting"]["since"] == before["day"][0]["start"]

    # A call that the events reported, too, counts once.
    await restore_day(path, first.model.stats, staged.now())
    first.draw()
    assert counts(document_of(first)) == counts(before)


async def test_calls_of_yesterday_do_not_count(tmp_path):
    staged = quiet()
    staged.advance(23 * 3600)
    first = wallboard_of(staged)
    queue_calls(staged)
    for line in [*staged.calls]:
        staged.pbx.hang_up(staged.pbx.channels[line])
    take_events(first, staged)
    path = tmp_path / "calls.db"
    await log_calls(path, first.model)
    staged.advance(2 * 3600)
    second = wallboard_of(staged)
    second.counting_from = await restore_day(path, second.model.stats, staged.now())
    second.draw()
    document = document_of(second)
    midnight = staged.now().replace(hour=0, minute=0, second=0, microsecond=0)
    assert document["counting"]["since"] == midnight.timestamp() * 1000
    assert (document["figures"]["offered"]["value"], document["day"]) == (0, [])


async def test_the_report_page_is_for_readers_of_everything(tmp_path):
    staged = quiet()
    model = wallboard_of(staged)
    queue_calls(staged)
    take_events(model, staged)
    path = tmp_path / "calls.db"
    await log_calls(path, model.model)
    token = new_token()
    access = AccessFile(tmp_path / "access")
    access.add(DisplayLink("all", hash_token(token)))
    team = new_token()
    access.add(DisplayLink("team", hash_token(team), Selection.of(["1"], [])))
    access.path.write_text("\n".join(access.lines()), encoding="utf-8")
    app = create_app(staged, zone=ZoneInfo("UTC"), log=path, access_file=access.path)
    try:
        cookie = {"cookie": f"basix_wallboard={token}"}
        page = await ask(app, "/report?lang=ja", headers=cookie)
        assert page.status == 200
        assert "script" not in page.headers["content-security-policy"]
        assert '<html lang="ja"' in page.body.decode()
        assert (await ask(app, "/state", headers=cookie)).json["report"] is True
        assert (await ask(app, "/report?from=nonsense", headers=cookie)).status == 400
        assert (await ask(app, "/report?from=2017-01&to=2026-12", headers=cookie)).status == 200
        long = await ask(app, "/report?from=2017-01&to=2027-01", headers=cookie)
        assert long.status == 400
        assert "the period is longer than ten years" in long.body.decode()
        limited = {"cookie": f"basix_wallboard={team}"}
        assert (await ask(app, "/report", headers=limited)).status == 403
        assert (await ask(app, "/state", headers=limited)).json["report"] is False
        assert (await ask(app, "/report")).status == 401
    finally:
        await app.wallboard.stop()
