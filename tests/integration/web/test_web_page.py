"""The page of the browser wallboard: its stream, its clock, its views, and its appearance."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from support.browser import contrast, open_browser
from support.web_documents import MINUTE, NOW, SECOND, document, empty, figure
from support.web_page import ADDRESS, open_web_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]

HOSTILE = (
    *("<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "\u202egpj.exe"),
    *("W" * 500, "営業" * 250, "\x1b[31mred", "{{7*7}} ${7*7}", "&lt;b&gt;"),
)

TV = {"width": 1920, "height": 1080}
DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
SIZES = {"tv": TV, "desk": DESK, "phone": PHONE}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser():
    async with open_browser() as opened:
        yield opened


@pytest.fixture
def opened(browser):
    """Return a function that opens a page of its own in the module's browser."""

    def open_one(**options):
        return open_web_page(browser, **options)

    return open_one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_page(browser):
    async with open_web_page(browser) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def web(shared_page):
    """Page that the tests of the module share: they change its size and address."""
    await shared_page.page.set_viewport_size(DESK)
    yield shared_page
    await shared_page.assert_no_messages()


async def beat(web, time):
    """Send a heartbeat."""
    web.doc["seq"] += 1
    await web.send("heartbeat", {"seq": web.doc["seq"], "time": time})


async def is_stale(web):
    return await web.page.evaluate("document.documentElement.dataset.stale === 'true'")


async def open_streams(web):
    return await web.page.evaluate("streams.length")


# -- stream ---------------------------------------------------------------------------------


async def test_calls_appear_move_and_end_and_other_rows_keep_their_places(web):
    await web.show(document(queues=1, agents_each=6), "?mode=desk")
    rows = web.page.locator(".calls .call:not(.gone)")
    calls = sorted(web.doc["calls"].items(), key=lambda one: one[1]["started"])
    assert await rows.count() == len(calls) > 3

    def place(key):
        return web.page.locator(".calls .call", has_text=web.doc["calls"][key]["caller"])

    last = calls[-1][0]
    before = await place(last).bounding_box()
    new = {**calls[0][1], "caller": "06-1111-2222", "started": NOW + 1}
    await web.update(after=100, calls={"set": {"new": new}})
    assert await rows.count() == len(calls) + 1
    moved = {**calls[1][1], "with": "Ueda Asahi"}
    moved["phases"] = [*moved["phases"][:-1], {**moved["phases"][-1], "text": "parked at 903"}]
    await web.update(calls={"set": {calls[1][0]: moved}, "gone": [calls[0][0]]})
    assert await rows.count() == len(calls)
    assert "parked at 903" in (await rows.all_inner_texts())[0]
    assert await place(last).bounding_box() == before
    newest = {**new, "caller": "06-3333-4444", "started": NOW + 2}
    await web.update(calls={"set": {"newest": newest}})
    assert "06-3333-4444" in (await rows.all_inner_texts())[0]  # the place that became free
    assert await place(last).bounding_box() == before
    await web.update(calls={"gone": [*dict(calls), "new", "newest"]})
    assert await rows.count() == 0
    await web.assert_no_messages()


@pytest.mark.parametrize(("ended", "blank"), [(2, 2), (4, 4), (5, 0)])
async def test_many_free_places_of_calls_are_closed(ended, blank, web):
    """Of twelve calls, a third may have ended before the others move up."""
    await web.show(document(queues=1, agents_each=2), "?mode=desk")
    (call, *_) = web.doc["calls"].values()
    calls = {f"c{at}": {**call, "started": NOW + at} for at in range(12)}
    await web.update(calls={"set": calls, "gone": [*web.doc["calls"]]})
    await web.update(calls={"gone": [f"c{at}" for at in range(1, 1 + ended)]})
    assert await web.page.locator(".calls .call.gone").count() == blank
    assert await web.page.locator(".calls .call:not(.gone)").count() == 12 - ended


async def test_silent_stream_marks_the_page_after_12_s_and_a_snapshot_clears_it(opened):
    async with opened() as web:
        await web.show(document(alarms=[3]), "?mode=desk")
        await web.run_for(11_500)
        assert not await is_stale(web)
        assert await web.texts(".top .clock") == ["12:05:23"]
        await web.run_for(1_000)
        assert await is_stale(web)
        assert "12:05:12" in (await web.texts(".stale-notice"))[0]
        values = await web.texts("main .digits, main .time")
        assert (await web.texts(".top .clock")) == ["12:05:12"]
        await web.page.clock.fast_forward(3_600_000)
        assert await web.texts("main .digits, main .time") == values  # counters have stopped
        await web.stream(step=500)
        assert await open_streams(web) > 1
        doc = document(alarms=[3], now=NOW + 3_600_000)
        await web.show(doc)
        assert not await is_stale(web)
        assert await web.page.locator(".stale-notice").is_hidden()
        assert await web.texts(".top .clock") == ["13:05:12"]


async def test_heartbeats_keep_the_page_current(opened):
    async with opened() as web:
        await web.show(document(queues=1), "?mode=tv")
        for number in range(1, 6):
            await web.run_for(5_000)
            await beat(web, NOW + number * 5_000)
            assert not await is_stale(web)
        assert await open_streams(web) == 1


async def test_data_over_5_s_late_marks_the_page_at_once_and_reconnects(opened):
    async with opened() as web:
        await web.show(document(), "?mode=tv")
        await web.run_for(7_000)
        await web.update(after=3_000, figures=web.doc["figures"])  # 4 s late
        assert not await is_stale(web)
        await web.run_for(3_000)
        await web.update(after=500, figures=web.doc["figures"])
        assert await is_stale(web)
        assert "12:05:15" in (await web.texts(".stale-notice"))[0]
        await web.stream(step=500)
        await web.show(document(now=NOW + 60_000))
        assert not await is_stale(web)


async def test_lost_feed_marks_the_page_though_the_server_answers(web):
    await web.show(document(), "?mode=tv")
    web.doc["feed"] = {
        **web.doc["feed"],
        "state": "lost",
        "live": False,
        "since": NOW - 1000,
        "text": "connection lost",
    }
    await web.update(after=500)
    assert await is_stale(web)
    (notice,) = await web.texts(".stale-notice")
    assert "12:05:11" in notice
    assert "connection lost" in notice


async def test_missing_frame_makes_the_page_ask_for_a_snapshot(opened):
    async with opened() as web:
        await web.show(document(queues=1), "?mode=desk")
        web.doc["seq"] += 1
        await web.update(figures={**web.doc["figures"], "waiting": figure(99)})
        assert "99" not in (await web.texts("[data-figure=waiting] .digits"))[0]
        await web.stream(step=500)
        assert await open_streams(web) == 2


async def test_page_polls_while_a_proxy_holds_the_stream_back(opened):
    async with opened() as web:
        web.state = document(queues=2)
        await web.goto("?mode=desk&queue=q0")
        await web.stream()
        await web.until("document.querySelector('.desk') !== null", step=1_000)
        assert not await is_stale(web)
        assert f"{ADDRESS}state?lang=en&queue=q0" in web.requests
        web.state = {**document(queues=2, now=NOW + 2_000), "site": "polled"}
        await web.until("document.querySelector('h1').textContent === 'polled'", step=500)
        await web.until("streams.length === 2", step=2_000)


async def poll_for(web, seconds):
    """Let time pass in the page, whose polls are answered with the current time."""
    for _ in range(seconds):
        web.state = {**web.state, "time": web.state["time"] + SECOND}
        await web.run_for(SECOND)
        while web.pending:
            await web.drawn()


def number_of_polls(web):
    return sum("/state" in url for url in web.requests)


async def test_polling_goes_on_while_a_stream_is_tried(opened):
    async with opened() as web:
        web.state = document(queues=2)
        await web.goto("?mode=desk")
        await web.until("document.querySelector('.desk') !== null", step=1_000)
        while await open_streams(web) < 3:
            before = number_of_polls(web)
            await poll_for(web, 4)
            assert number_of_polls(web) > before
            assert not await is_stale(web)
        await web.show(web.state)  # the stream is free again
        before = number_of_polls(web)
        await web.run_for(10_000)
        assert number_of_polls(web) == before


@pytest.mark.parametrize("status", [502, 503])
async def test_page_retries_until_the_server_answers(opened, status):
    async with opened() as web:
        web.status = status
        await web.goto("?mode=desk")
        while sum(url.endswith("/status") for url in web.requests) < 4:
            await web.run_for(1_000)
        assert await open_streams(web) == 0
        web.status = 200
        await web.stream(step=1_000)


async def test_login_form_logs_in_and_explains_a_wrong_password(opened):
    async with opened() as web:
        web.status, web.post_status = 401, 401
        await web.goto()
        await web.page.get_by_label("Name").fill("yui")
        await web.page.get_by_label("Password").fill("wrong")
        await web.page.get_by_role("button").click()
        await web.page.wait_for_selector(".error:has-text('wrong')")
        web.status, web.post_status = 200, 200
        await web.page.get_by_label("Password").fill("right")
        await web.page.get_by_role("button").click()
        await web.stream()
        await web.show(document())
        assert await web.page.locator(".desk").is_visible()
        assert web.posts == [
            ("login", {"name": "yui", "password": "wrong"}),
            ("login", {"name": "yui", "password": "right"}),
        ]


HIDDEN = """isHidden => {
    Object.defineProperty(document, "hidden", {configurable: true, get: () => isHidden});
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.mark.parametrize("mode", ["tv", "desk", "phone"])
async def test_page_hidden_for_two_hours_is_correct_2_s_after_it_is_seen(opened, mode):
    """Browsers stop the timers and streams of a hidden page."""
    hours = 7_200_000
    async with opened() as web:
        await web.show(document(alarms=[0], queues=1), f"?mode={mode}")
        before = await open_streams(web)
        await web.page.evaluate(HIDDEN, arg=True)
        await web.page.evaluate("streams.pop().close()")
        await web.page.clock.fast_forward(hours)
        await web.page.evaluate(HIDDEN, arg=False)
        await web.drawn()
        assert await is_stale(web)
        passed = 0
        while not await web.page.evaluate("streams.some(one => one.isOpen)"):
            if not web.pending:
                passed += 100
                await web.page.clock.run_for(100)
        assert passed <= 2_000
        assert await open_streams(web) == before  # the one that was removed has a successor
        await web.show(document(alarms=[], queues=1, now=NOW + hours))
        assert not await is_stale(web)
        assert await web.page.locator(".card.alarm").count() == 0
        assert (await web.texts("[data-figure=longest_wait] .digits")) == ["0:24"]


async def test_before_the_first_data_there_are_no_zeros(web):
    for mode in ("tv", "desk", "phone"):
        await web.show(empty(), f"?mode={mode}")
        text = await web.page.inner_text("body")
        assert "No data yet" in text
        assert "connecting to the PBX" in text
        assert not any(char.isdigit() for char in text)
        assert not await is_stale(web)


# -- time -----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [-600_000, 600_000])
async def test_wrong_browser_clock_changes_no_time(opened, error):
    async with opened(clock=NOW + error) as web:
        await web.show(document(alarms=[0], queues=1), "?mode=tv")
        assert await web.texts(".tv .clock") == ["12:05:12"]
        assert (await web.texts("[data-figure=longest_wait] .digits")) == ["2:31"]
        await web.run_for(9_000)
        assert await web.texts(".tv .clock") == ["12:05:21"]
        assert (await web.texts("[data-figure=longest_wait] .digits")) == ["2:40"]
        # Someone sets the clock: the page reads a new snapshot, and shows the same times.
        await web.page.evaluate(
            "error => { const now = Date.now; Date.now = () => now() - error }", error
        )
        await web.run_for(500)
        await web.until("streams.length === 2")
        await web.show(document(alarms=[0], queues=1, now=NOW + 9_500))
        assert await web.texts(".tv .clock") == ["12:05:21"]
        assert not await is_stale(web)


async def test_waits_are_never_negative(web):
    doc = document(queues=1)
    doc["figures"]["longest_wait"]["since"] = NOW + 5_000
    await web.show(doc, "?mode=desk")
    assert (await web.texts("[data-figure=longest_wait] .digits")) == ["0:00"]


@pytest.mark.parametrize(
    ("zone", "before", "shown"),
    [
        ("Asia/Tokyo", 1_767_193_199_000, ["23:59:59", "00:00:02"]),
        ("America/New_York", 1_772_953_199_000, ["01:59:59", "03:00:02"]),  # 8 March 2026
        ("America/New_York", 1_793_512_799_000, ["01:59:59", "01:00:02"]),  # 1 November 2026
        ("Not/AZone", 1_767_193_199_000, None),
    ],
)
async def test_clock_follows_the_zone_of_the_call_centre(opened, zone, before, shown):
    async with opened(timezone_id="Europe/Paris") as web:
        await web.show({**document(queues=1, now=before), "zone": zone}, "?mode=desk")
        first = (await web.texts(".top .clock"))[0]
        await web.run_for(3_000)
        second = (await web.texts(".top .clock"))[0]
        assert [first, second] == (shown or ["15:59:59", "16:00:02"])


async def test_stale_page_of_yesterday_names_the_date(opened):
    async with opened() as web:
        await web.show(document(queues=1), "?mode=tv")
        await web.page.clock.fast_forward(24 * 3_600_000)
        await web.run_for(500)
        assert "2025-12-31 12:05:12" in (await web.texts(".stale-notice"))[0]


# -- views ----------------------------------------------------------------------------------

CLIPPED = """selector => [...document.querySelectorAll(selector)].filter(element => {
    const style = getComputedStyle(element);
    return element.offsetParent && element.scrollWidth > element.clientWidth + 1;
}).map(element => element.className + " " + element.textContent)"""

OUTSIDE = """() => [...document.querySelectorAll(".card, .tile, .foot")].flatMap(box => {
    const outer = box.getBoundingClientRect();
    return [...box.querySelectorAll("*")].filter(element => {
        const inner = element.getBoundingClientRect();
        return inner.width && !element.closest("svg") && (inner.bottom > outer.bottom + 1
            || inner.right > outer.right + 1 || inner.left < outer.left - 1);
    }).map(element => `${element.className} ${element.textContent}`);
})"""


async def assert_fits(web):
    size = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    assert await web.page.evaluate(size) == [1920, 1080]
    assert await web.page.evaluate(CLIPPED, ".tile *:not(.hidden)") == []
    assert await web.page.evaluate(OUTSIDE) == []


@pytest.mark.parametrize(
    ("lang", "counts"), [("en", (1, 2, 3, 4, 5, 6, 12, 40)), ("ja", (1, 2, 6, 12))]
)
async def test_pages_rotate_through_all_queues_without_scrolling(opened, lang, counts):
    async with opened(**TV) as web:
        time = NOW
        for count in counts:
            alarm = min(2, count - 1)
            agents = 8 + count % 3 * 13
            doc = document(queues=count, alarms=[alarm], lang=lang, agents_each=agents, now=time)
            await web.show(doc, f"?mode=tv&lang={lang}")
            first, names = doc["queues"][f"q{alarm}"]["name"], set()
            pages = 1 if count <= 6 else -(-(count - 1) // 5)
            numbers = set()
            for _ in range(pages):
                shown = await web.texts(".card h2")
                assert len(shown) <= 6
                assert shown[0] == first
                names.update(shown)
                numbers.update(await web.texts(".page-number"))
                await assert_fits(web)
                for _beat in range(2):  # one page lasts for 15 s
                    await web.run_for(7_500)
                    time += 7_500
                    await beat(web, time)
            assert names == {queue["name"] for queue in doc["queues"].values()}
            assert len(numbers) == (pages if pages > 1 else 0)
        assert {number.split("/")[1] for number in numbers} == {str(pages)}
        rows = await web.page.evaluate(
            "[...document.querySelectorAll('.tv .waiters li, .tv .named li')]"
            ".map(row => row.getBoundingClientRect().height)"
        )
        assert min(rows) >= 40


FILLED = """() => {
    const bottom = selector => Math.max(...[...document.querySelectorAll(selector)]
        .map(one => one.getBoundingClientRect().bottom));
    return [bottom(".agents li, .squares > *"), bottom(".waiters li"), bottom(".card")];
}"""


@pytest.mark.parametrize(("lang", "theme"), [("en", "dark"), ("ja", "light")])
async def test_single_queue_fills_the_screen(web, lang, theme):
    await web.page.set_viewport_size(TV)
    heights = {}
    for agents in (0, 1, 6, 7, 10, 12, 14, 15, 16, 17, 30, 31, 52, 53, 90, 91):
        doc = document(queues=1, agents_each=agents, alarms=[0], lang=lang)
        queue = doc["queues"]["q0"]
        queue["longest_since"] = queue["waiters"][0]["since"] = NOW - 97_500 * SECOND
        await web.show(doc, f"?mode=tv&lang={lang}&theme={theme}")
        await assert_fits(web)
        assert await web.page.locator(".waiters li").count() == 5
        bottom_of_agents, bottom_of_waiters, bottom = await web.page.evaluate(FILLED)
        assert bottom - bottom_of_waiters < 60
        if agents > 4:
            assert bottom - bottom_of_agents < 100
        squares = web.page.locator(".agents .square")
        assert await squares.count() == min(agents, 90 if agents <= 90 else 89)
        if agents:
            heights[agents] = (await squares.first.bounding_box())["height"]
    assert heights[6] > 80
    assert heights[16] > 110
    assert heights[30] > 90
    assert min(heights.values()) >= 48


async def test_digits_on_a_tv_are_large_and_every_limit_is_in_words(web):
    await web.page.set_viewport_size(TV)
    await web.show(document(alarms=[3]), "?mode=tv")
    sizes = await web.page.evaluate(
        "[...document.querySelectorAll('.tile .digits')]"
        ".map(one => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert len(sizes) == 6
    assert min(sizes) >= 80
    assert sum(size >= 100 for size in sizes) >= 5
    assert await web.texts(".tile .words") == [
        "calls in queues",
        "Alarm: 2:00 or more",
        "agents now",
        "Warning: below 80%",
        "since 09:00",
        "Warning from 5%",
    ]
    assert "calls answered within 20 s" in (await web.texts(".foot"))[0]


@pytest.mark.parametrize(
    ("service_level", "abandon_rate", "limits", "shown"),
    [
        (0.796, 0.0496, [0.05, 0.08], ["79%", "4%"]),
        (0.7496, 0.0796, [0.05, 0.08], ["74%", "7%"]),
        (0.8, 0.05, [0.05, 0.08], ["80%", "5%"]),
        (0.846, 0.056, [0.05, 0.08], ["85%", "6%"]),
        (1, 0, [0.001, 0.004], ["100%", "0%"]),
    ],
)
async def test_rate_below_a_limit_is_not_shown_as_equal_to_it(
    web, service_level, abandon_rate, limits, shown
):
    doc = document(queues=1)
    doc["figures"]["service_level"]["value"] = service_level
    doc["figures"]["abandon_rate"].update(value=abandon_rate, limits=limits)
    await web.show(doc, "?mode=desk")
    tiles = "[data-figure=service_level] .digits, [data-figure=abandoned] .second"
    assert await web.texts(tiles) == shown


@pytest.mark.parametrize("view", SIZES)
@pytest.mark.parametrize("lang", ["en", "ja"])
async def test_waits_of_hours_and_days_fit(web, lang, view):
    await web.page.set_viewport_size(SIZES[view])
    for seconds, shown in ((3_723, "1:02:03"), (97_500, "1 d 03:05"), (8_640_000, "100 d 00:00")):
        doc = document(alarms=[0], lang=lang)
        since = NOW - seconds * SECOND
        doc["figures"]["longest_wait"]["since"] = since
        doc["queues"]["q0"]["longest_since"] = since
        doc["figures"]["offered"]["value"] = doc["figures"]["answered"]["value"] = 12_345
        await web.show(doc, f"?mode={view}&lang={lang}")
        assert await web.texts("[data-figure=longest_wait] .digits") == [
            shown if lang == "en" else shown.replace(" d ", "日 ")
        ]
        assert await web.page.evaluate(CLIPPED, ".tile, .tile .digits") == []


async def test_new_alarm_comes_first_at_once(web):
    await web.page.set_viewport_size(TV)
    await web.show(document(queues=12), "?mode=tv")
    shown = await web.texts(".card h2")
    queues = web.doc["queues"]
    hidden = next(key for key, queue in queues.items() if queue["name"] not in shown)
    row = {**web.doc["queues"][hidden], "levels": {"longest_wait": "alarm"}}
    await web.update(queues={"set": {hidden: row}})
    names = await web.texts(".card h2")
    assert names[0] == row["name"]
    assert await web.texts(".card .badge") == ["Alarm"]


@pytest.mark.parametrize(("other", "shown"), [("", "0120-000-100"), ("Ueda", "Ueda")])
async def test_call_outside_of_queues_shows_the_other_end_or_the_number_dialled(web, other, shown):
    doc = document(queues=1)
    key, call = min(doc["calls"].items(), key=lambda one: one[1]["started"])
    doc["calls"] = {key: {**call, "queue": None, "with": other}}
    await web.show(doc, "?mode=desk")
    assert await web.texts(".call-ends .name") == [call["caller"], shown]


async def test_commands_are_sent_only_when_allowed_and_never_while_stale(web):
    doc = document(queues=1, agents_each=3)
    call = min(doc["calls"], key=lambda key: doc["calls"][key]["started"])
    doc["calls"][call]["channel"] = "6b1e5a3c"
    await web.show(doc, "?mode=desk")
    assert await web.page.locator(".agent .actions").count() == 0
    await web.show({**doc, "commands": True})
    assert await web.page.locator(".agent .actions").count() == 0  # nobody can start calls
    allowed = {**doc, "commands": True, "starts_calls": True}
    await web.show(allowed)
    row = web.page.locator(".call").filter(has_text=doc["calls"][call]["caller"])
    await row.locator("summary").click()
    await row.get_by_role("button", name="Hang up").click()
    await web.until("document.querySelector('.result').textContent === 'Done.'")
    await row.get_by_label("Number or extension").fill(" 202 ")
    await row.get_by_role("button", name="Transfer").click()
    await web.until("document.querySelector('.result').textContent === 'Done.'")
    agent = web.page.locator(".agent").first
    await agent.locator("summary").click()
    await agent.get_by_label("Number or extension").fill("0312345678")
    await agent.get_by_role("button").click()
    await web.until("document.querySelector('.agent .result').textContent === 'Done.'")
    assert web.posts == [
        ("commands/hangup", {"channel": "6b1e5a3c"}),
        ("commands/transfer", {"channel": "6b1e5a3c", "destination": "202"}),
        ("commands/call", {"user": "u0-0", "destination": "0312345678"}),
    ]
    await web.show(lost(allowed))
    assert await row.get_by_role("button", name="Hang up").is_disabled()
    assert await agent.get_by_role("button").is_disabled()


async def test_name_of_the_call_centre_may_come_later(web):
    await web.show({**document(), "site": ""}, "?mode=tv")
    await web.update(site="acme")
    assert await web.texts("h1") == ["acme"]


async def test_filters_are_in_the_address(opened):
    async with opened() as web:
        await web.show(document(), "?mode=desk")
        await web.page.get_by_role("link", name="Support").click()
        await web.until("streams.length === 2")
        assert web.page.url == f"{ADDRESS}?mode=desk&queue=q1"
        assert await web.page.evaluate("streams[1].url") == "./stream?lang=en&queue=q1"
        await web.show(document(queues=1))
        await web.run_for(60_000)  # the page is older than the time that makes it stale
        await web.stream(step=500)
        await web.show(document(queues=1, now=NOW + MINUTE))
        opened_before = await open_streams(web)
        await web.page.go_back()
        await web.until(f"streams.length === {opened_before + 1}")
        assert not await is_stale(web)
        assert await web.page.evaluate("streams[streams.length - 1].url") == "./stream?lang=en"
        assert await web.page.evaluate("streams.filter(one => one.isOpen).length") == 1


async def test_agents_are_sorted_on_request_only(web):
    await web.show(document(queues=1), "?mode=desk")
    names = web.page.locator(".agent .who .name")
    by_name = await names.all_inner_texts()
    assert by_name == sorted(by_name)
    agent = {**web.doc["agents"]["u0-5"], "state": "talking", "since": NOW - 3_600_000}
    await web.update(agents={"set": {"u0-5": agent}})
    assert await names.all_inner_texts() == by_name
    await web.page.get_by_label("Order of agents").select_option("longest")
    assert (await names.all_inner_texts())[0] == agent["name"]
    assert "sort=longest" in web.page.url


async def test_other_language_changes_every_text(web):
    await web.show(document(queues=1), "?mode=desk&lang=en")
    await web.page.get_by_label("Language").select_option("ja")
    await web.until("document.querySelector('h2').textContent === '待ち呼'")
    await web.show(web.doc)
    states = await web.texts(".agent .state")
    assert set(states) <= {"通話中", "空き", "呼び出し中", "保留中", "オフライン"}
    assert await web.page.get_attribute("html", "lang") == "ja"


async def test_phone_shows_the_worst_queue_first_and_has_large_targets(web):
    await web.page.set_viewport_size(PHONE)
    await web.show(document(alarms=[4], warnings=[2]), "")
    assert (await web.texts(".card h3"))[:2] == ["Repairs", "Billing"]
    tops = await web.page.evaluate(
        "[...document.querySelectorAll('.tile')].map(one => one.getBoundingClientRect().top)"
    )
    assert [tops.count(top) for top in sorted(set(tops))] == [3, 3]
    heights = await web.page.evaluate(
        "[...document.querySelectorAll('a, button, summary, select')]"
        ".map(one => one.getBoundingClientRect().height)"
    )
    assert min(heights) >= 44
    assert await web.page.evaluate("document.documentElement.scrollWidth") == 390
    agents = web.page.locator("details").first
    assert not await agents.locator(".agent").first.is_visible()
    await agents.locator("summary").click()
    await web.update(after=100, figures=web.doc["figures"])
    assert await agents.locator(".agent").first.is_visible()


FAKE_AUDIO = """window.played = 0; window.AudioContext = class {
    currentTime = 0; destination = {};
    createGain() { return {gain: {}, connect: () => {}}; }
    createOscillator() {
        played += 1;
        return {frequency: {}, connect: one => one, start() {}, stop() {}};
    }
};"""


async def test_sound_is_off_by_default_and_only_for_new_alarms(opened):
    asked = "?mode=desk&sound=alarm"
    for is_allowed, query, expected in (
        (True, "?mode=desk", 0),
        (True, asked, 3),
        (False, asked, 0),
    ):
        async with opened() as web:
            await web.page.add_init_script(FAKE_AUDIO)
            await web.show({**document(alarms=[0]), "sound": is_allowed}, query)
            assert await web.page.evaluate("played") == 0  # an old alarm in a snapshot
            row = {**web.doc["queues"]["q1"], "levels": {"longest_wait": "alarm"}}
            await web.update(after=100, queues={"set": {"q1": row}})
            assert await web.page.evaluate("played") == expected
            await web.update(after=100, queues={"set": {"q1": dict(row)}})
            assert await web.page.evaluate("played") == expected
            await web.assert_no_messages()


async def test_new_alarms_sound_while_the_page_polls(opened):
    async def show_polled(web, doc, site):
        web.state = {**doc, "sound": True, "site": site}
        await web.until(f"document.querySelector('h1')?.textContent === '{site}'", step=500)
        return await web.page.evaluate("played")

    async with opened() as web:
        await web.page.add_init_script(FAKE_AUDIO)
        web.state = {**document(alarms=[0]), "sound": True}
        await web.goto("?mode=desk&sound=alarm")
        assert await show_polled(web, document(alarms=[0]), "first") == 0
        assert await show_polled(web, document(alarms=[0, 1]), "another alarm") == 3
        assert await show_polled(web, document(alarms=[0, 1]), "same alarms") == 3
        await web.page.get_by_role("link", name="Support").click()
        assert await show_polled(web, document(alarms=[0, 1, 2]), "other view") == 3


# -- safety and accessibility ---------------------------------------------------------------


@pytest.mark.parametrize("view", SIZES)
async def test_hostile_names_are_texts(web, view):
    doc = document(names=HOSTILE, queues=6)
    doc["site"] = HOSTILE[0]
    for call in doc["calls"].values():
        call["caller"] = call["with"] = HOSTILE[1]
        call["phases"][-1]["text"] = HOSTILE[0]
    doc["parked"]["1"].update(slot=HOSTILE[6], caller=HOSTILE[2], by=HOSTILE[3])
    await web.page.set_viewport_size(SIZES[view])
    await web.show(doc, f"?mode={view}")
    text = await web.page.inner_text("body")
    assert "<img src=x onerror=alert(1)>" in text
    assert r"\u202egpj.exe" in text
    assert not {"\u202e", "\x1b"} & set(text)
    if view != "tv":
        assert "{{7*7}} ${7*7}" in await web.page.locator("body").text_content()
        assert r"\u001b[31mred" in text
    assert await web.page.evaluate("document.images.length") == 0
    width = SIZES[view]["width"]
    assert await web.page.evaluate("document.documentElement.scrollWidth") == width


async def test_seeded_violation_of_the_policy_is_caught(opened):
    async with opened() as web:
        await web.show(document(), "?mode=desk")
        await web.assert_no_messages()
        await web.page.evaluate("document.body.setAttribute('style', 'color: red')")
        await web.page.evaluate("new Image().src = 'http://elsewhere.test/image.png'")
        await web.until("violations.length === 2")
        assert len(web.messages) == 2


STATES = {
    "normal": lambda: document(queues=3, agents_each=8),
    "alarm": lambda: document(queues=3, agents_each=4, alarms=[2], warnings=[1]),
    "stale": lambda: lost(document(queues=3, agents_each=4, alarms=[2])),
    "empty": empty,
}


def lost(doc):
    doc["feed"].update(state="lost", live=False, since=NOW - MINUTE, text="connection lost")
    return doc


async def serious_violations(web):
    running = asyncio.create_task(Axe().run(web.page))
    while not running.done():  # axe waits for timers
        await web.run_for(20)
    found = await running
    assert len(found.response["passes"]) > 10
    return [
        (one["id"], [(node["target"], node["failureSummary"]) for node in one["nodes"][:3]])
        for one in found.response["violations"]
        if one["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("state", "view"),
    [
        ("normal", "phone"),
        ("alarm", "desk"),
        ("alarm", "tv"),
        ("stale", "tv"),
        ("stale", "phone"),
        ("empty", "desk"),
    ],
)
async def test_axe_finds_nothing_serious(web, state, view, theme):
    await web.page.set_viewport_size(SIZES[view])
    await web.show(STATES[state](), f"?mode={view}&theme={theme}")
    assert await serious_violations(web) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_serious_in_the_login_form(opened, theme):
    async with opened() as web:
        web.status = 401
        await web.goto(f"?theme={theme}")
        await web.page.wait_for_selector(".login")
        assert await serious_violations(web) == []


async def test_ticking_times_are_in_no_live_region(web):
    for state in ("alarm", "stale"):
        await web.show(STATES[state](), "?mode=desk")
        assert await web.page.locator(".time").count() > 20
        live = "[aria-live], [role=alert], [role=status], [role=timer], [role=log]"
        assert await web.page.locator(live).locator(".time").count() == 0


async def test_alarm_differs_in_greyscale_and_forced_colours(web):
    await web.page.set_viewport_size(TV)
    await web.show(document(alarms=[3], warnings=[1]), "?mode=tv&theme=light")
    styles = """selector => {
        const style = getComputedStyle(document.querySelector(selector));
        return [style.backgroundColor, style.borderTopStyle, style.borderTopWidth];
    }"""
    alarm = await web.page.evaluate(styles, ".tile.alarm")
    normal = await web.page.evaluate(styles, ".tile:not(.alarm, .warning)")
    assert contrast(alarm[0], normal[0]) > 3  # of luminances
    for level, word in (("alarm", "Alarm"), ("warning", "Warning")):
        tile = web.page.locator(f".tile.{level}")
        assert word in await tile.inner_text()
        assert await tile.locator(".sign").is_visible()
        assert await web.page.locator(f".card.{level} .badge .sign").is_visible()
    shapes = await web.page.evaluate(
        "[...document.querySelectorAll('.badge .sign-shape')].map(one => one.getAttribute('d'))"
    )
    assert len(set(shapes)) == 2
    await web.page.emulate_media(forced_colors="active")
    borders = [
        (await web.page.evaluate(styles, selector))[1]
        for selector in (".tile.alarm", ".tile.warning", ".tile:not(.alarm, .warning)")
    ]
    # Otherwise the browser keeps the background of these colours for later pages.
    await web.page.emulate_media(forced_colors="none")
    assert borders == ["double", "dashed", "solid"]


async def test_stale_page_keeps_contrast_and_looks_different(web):
    await web.page.set_viewport_size(TV)
    await web.show(STATES["stale"](), "?mode=tv")
    opacity = await web.page.evaluate(
        "[...document.querySelectorAll('*')].map(one => getComputedStyle(one).opacity)"
    )
    assert set(opacity) == {"1"}
    frame = "getComputedStyle(document.body, '::after').borderImageSource"
    assert "repeating-linear-gradient" in await web.page.evaluate(frame)
    size = "parseFloat(getComputedStyle(document.querySelector('.stale-notice')).fontSize)"
    assert await web.page.evaluate(size) >= 40
    await assert_fits(web)


@pytest.mark.parametrize("lang", ["en", "ja"])
async def test_zoom_of_200_percent_needs_no_scrolling_sideways(opened, lang):
    async with opened(width=640, height=400, device_scale_factor=2, lang=lang) as web:
        await web.show(document(alarms=[3], lang=lang), "?mode=desk")
        assert await web.page.evaluate("document.documentElement.scrollWidth") == 640


async def test_nothing_is_animated(opened):
    async with opened(reduced_motion="reduce") as web:
        await web.show(document(alarms=[3]), "?mode=tv")
        assert await web.page.evaluate("document.getAnimations().length") == 0
        moves = """[...document.querySelectorAll("*")]
            .map(one => getComputedStyle(one).transitionDuration)"""
        assert set(await web.page.evaluate(moves)) == {"0s"}


async def test_old_browsers_get_a_sentence(opened):
    async with opened() as web:
        await web.page.add_init_script("delete window.EventSource")
        await web.page.goto(ADDRESS)
        await web.page.wait_for_selector(".unsupported")
        text = await web.page.inner_text("body")
        assert "Chrome or Edge 88, Firefox 90, Safari 15" in text
        assert "ブラウザー" in text


# -- long runs ------------------------------------------------------------------------------

MANY_UPDATES = """async ([count, doc]) => {
    const agents = Object.keys(doc.agents), calls = Object.keys(doc.calls);
    let next = 0, live = calls.slice();
    for (let index = 1; index <= count; index += 1) {
        const key = agents[index % agents.length];
        const agent = {...doc.agents[key], since: doc.time, state: index % 2 ? "talking" : "free"};
        const frame = {seq: doc.seq + index, time: doc.time, feed: doc.feed,
            agents: {set: {[key]: agent}}, calls: {set: {}, gone: []}};
        const name = `n${next += 1}`;
        frame.calls.set[name] = {...doc.calls[calls[index % calls.length]], started: doc.time};
        frame.calls.gone.push(live.shift());
        live.push(name);
        send("update", frame);
        if (index % 500 === 0) {
            const channel = new MessageChannel();
            await new Promise(resolve => {
                channel.port1.onmessage = resolve;
                channel.port2.postMessage(null);
            });
            channel.port1.close();
        }
    }
    return document.querySelectorAll("*").length;
}"""


async def heap(session):
    await session.send("HeapProfiler.collectGarbage")
    return (await session.send("Runtime.getHeapUsage"))["usedSize"]


async def run_updates(web, counts):
    """Return the bytes of the page, and nodes and bytes after each of these numbers of updates."""
    session = await web.page.context.new_cdp_session(web.page)
    start, found = await heap(session), []
    for count in counts:
        nodes = await web.page.evaluate(MANY_UPDATES, [count, web.doc])
        web.doc = {**web.doc, "seq": 1}
        await web.send("snapshot", web.doc)
        found.append((nodes, await heap(session)))
    return start, found


async def test_many_updates_leave_nothing_behind(opened):
    async with opened() as web:
        await web.show(document(queues=4, agents_each=10), "?mode=desk")
        start, ((nodes, before), (last_nodes, after)) = await run_updates(web, [250, 500])
        assert last_nodes == nodes
        assert before < start + 1_000_000
        assert after < before + 500_000


@pytest.mark.nightly
async def test_50000_updates_keep_memory_flat(opened):
    async with opened() as web:
        await web.show(document(queues=12, agents_each=25), "?mode=desk")
        start, found = await run_updates(web, [5_000] * 10)
        # The browser compiles the script in steps during the first 20,000 updates.
        nodes, before = found[3]
        last_nodes, after = found[-1]
        assert last_nodes == nodes
        assert before < start + 2_000_000
        assert after < before * 1.05
