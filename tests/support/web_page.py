"""The page of the browser wallboard in Chromium, without a server.

Playwright answers the page's requests, and ``EventSource`` is replaced by one whose frames come
from the test. So the page's time, its stream and its documents are the test's.
"""

from __future__ import annotations

import contextlib
import contextvars
import mimetypes

from attrs import define, field

from basix_ws_cti._internal.translation import use_language
from basix_ws_cti.web.texts import page_texts
from support.browser import until
from support.paths import ROOT
from support.web_documents import NOW

STATIC = ROOT / "src" / "basix_ws_cti" / "web" / "static"
ADDRESS = "http://wallboard.test/"

# The policy of the server; its own tests compare the two.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

FAKE_STREAM = """
window.violations = [];
addEventListener("securitypolicyviolation", event => violations.push(event.violatedDirective));
window.streams = [];
window.EventSource = class extends EventTarget {
    constructor(url) {
        super();
        this.url = url;
        this.isOpen = true;
        streams.push(this);
    }
    close() {
        this.isOpen = false;
    }
};
window.send = (kind, frame) => {
    const stream = streams.filter(one => one.isOpen).pop();
    if (!stream) {
        return false;
    }
    stream.dispatchEvent(new MessageEvent(kind, {data: JSON.stringify(frame)}));
    return true;
};
"""


@define(eq=False, slots=False)
class WebPage:
    """Open page, and what happens in it."""

    page: object
    doc: dict | None = None
    status: int = 200
    state: dict | None = None
    requests: list = field(factory=list)
    messages: list = field(factory=list)
    pending: set = field(factory=set)
    posts: list = field(factory=list)
    post_status: int = 200

    def begin(self, request):
        self.pending.add(request)

    def finish(self, request):
        self.pending.discard(request)

    async def answer(self, route):
        request = route.request
        path = request.url.removeprefix(ADDRESS).partition("?")[0]
        self.requests.append(request.url)
        if not request.url.startswith(ADDRESS):
            await route.abort()
        elif request.method == "POST":
            self.posts.append((path, request.post_data_json))
            await route.fulfill(status=self.post_status, json={})
        elif path == "status":
            await route.fulfill(status=self.status, json={"state": "ok"})
        elif path == "state":
            await route.fulfill(status=200 if self.state else 503, json=self.state or {})
        elif path == "texts":
            await route.fulfill(json=texts_in("ja" if "lang=ja" in request.url else "en"))
        else:
            file = STATIC / (path.removeprefix("static/") or "index.html")
            kind = mimetypes.guess_type(file.name)[0]
            headers = {"Content-Security-Policy": POLICY, "Content-Type": f"{kind}; charset=utf-8"}
            await route.fulfill(body=file.read_bytes(), headers=headers)

    async def goto(self, query=""):
        """Load the page anew."""
        await self.page.goto(ADDRESS + query)
        await self.until("document.documentElement.dataset.started === 'true'")

    async def until(self, expression, *, step=0):
        """Wait until an expression is true.

        ``step`` is the time in milliseconds that passes in the page before each look, unless the
        page waits for an answer.
        """

        async def advance():
            if step and not self.pending:
                await self.page.clock.run_for(step)

        await until(self.page, expression, advance)

    async def stream(self, *, step=0):
        """Wait until the page has opened a stream."""
        await self.until("streams.some(one => one.isOpen)", step=step)

    async def show(self, doc, query=None):
        """Show a document, after a change of the page's address if a query is given."""
        if query is not None and self.page.url.startswith(ADDRESS):
            await self.page.evaluate(
                "url => { history.pushState(null, '', url); dispatchEvent(new Event('popstate')) }",
                f"{ADDRESS}{query}",
            )
        elif query is not None:
            await self.goto(query)
        await self.stream()
        self.doc = doc
        await self.send("snapshot", doc)

    async def send(self, kind, frame):
        assert await self.page.evaluate("([kind, frame]) => send(kind, frame)", [kind, frame])
        await self.drawn()

    async def run_for(self, milliseconds):
        """Let the page's time pass."""
        await self.page.clock.run_for(milliseconds)
        await self.drawn()

    async def drawn(self):
        """Wait until the page has drawn what it knows."""
        await self.page.evaluate("() => Promise.resolve().then(() => Promise.resolve())")

    async def update(self, *, after=0, **parts):
        """Send an update, made ``after`` milliseconds after the frame before it."""
        self.doc["seq"] += 1
        self.doc["time"] += after
        frame = {"seq": self.doc["seq"], "time": self.doc["time"], "feed": self.doc["feed"]}
        await self.send("update", {**frame, **parts})

    async def texts(self, selector):
        return await self.page.locator(selector).all_inner_texts()

    async def assert_no_messages(self):
        assert not self.messages
        assert await self.page.evaluate("violations") == []


def texts_in(language):
    def texts():
        use_language(language)
        return page_texts()

    return contextvars.Context().run(texts)


@contextlib.asynccontextmanager
async def open_web_page(
    browser, *, width=1280, height=800, scheme="light", clock=NOW, lang="en", **options
):
    """Open an empty page of a browser.

    Its time, from ``clock`` on, passes only in ``run_for`` and ``until``.
    """
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, locale=lang, **options
    )
    page = await context.new_page()
    shown = WebPage(page)
    page.on("console", lambda message: shown.messages.append(message.text))
    page.on("pageerror", lambda error: shown.messages.append(str(error)))
    page.on("dialog", lambda dialog: shown.messages.append(f"dialog: {dialog.message}"))
    page.on("request", shown.begin)
    page.on("requestfinished", shown.finish)
    page.on("requestfailed", shown.finish)
    await page.clock.install(time=clock)
    await page.clock.pause_at(clock + 1000)
    await page.add_init_script(FAKE_STREAM)
    await page.route("**/*", shown.answer)
    try:
        yield shown
    finally:
        await context.close()
