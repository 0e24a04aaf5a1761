// Starts the page: connects stream, store and clock, and draws the view.

import { html, render } from "./vendor/preact-htm.js";
import { onTick, PbxClock, startTicking } from "./clock.js";
import { Desk } from "./desk.js";
import { moment } from "./format.js";
import { Login } from "./login.js";
import { Places } from "./order.js";
import { StaleNotice } from "./parts.js";
import { Phone } from "./phone.js";
import { postJson } from "./posts.js";
import { addressWith, applyTheme, onLayoutChange, readSettings, viewQuery } from "./settings.js";
import { Sounds } from "./sound.js";
import { Store } from "./store.js";
import { LATE, SILENCE, Stream } from "./stream.js";
import { loadTexts, t } from "./texts.js";
import { Rotation, Tv } from "./tv.js";

const SLEEP = 5_000; // difference of the two clocks of the browser after which it has slept

class Wallboard {
  constructor(root) {
    this.root = root;
    this.settings = readSettings();
    this.clock = new PbxClock();
    this.store = new Store();
    this.rotation = new Rotation();
    this.places = new Places();
    this.sounds = new Sounds();
    this.needsLogin = false;
    this.textsOf = null; // language of the texts
    this.lateSince = null; // PBX time of the first late frame
    this.wall = Date.now() - performance.now();
    this.openStream();
  }

  openStream() {
    const heard = this.stream?.heard ?? null;
    this.stream?.stop();
    this.sounds.forget();
    this.stream = new Stream(viewQuery(this.settings), {
      frame: (kind, data, received) => this.take(kind, data, received),
      login: () => {
        this.needsLogin = true;
        this.draw();
      },
    });
    this.stream.heard = heard;
  }

  async start() {
    applyTheme(this.settings);
    this.stream.start();
    await this.readTexts();
    document.documentElement.dataset.started = "true";
    this.root.replaceChildren();
    this.isStarted = true;
    onLayoutChange(() => this.readAddress());
    document.addEventListener("visibilitychange", () => this.wake());
    addEventListener("pageshow", () => this.wake());
    addEventListener("online", () => this.wake());
    onTick((now) => this.tick(now));
    startTicking();
    this.draw();
  }

  async readTexts() {
    for (;;) {
      try {
        await loadTexts(this.settings.lang);
        this.textsOf = this.settings.lang;
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
  }

  // Take a frame; return false if a new snapshot is needed.
  take(kind, data, received) {
    if (kind === "snapshot") {
      if (!this.stream.isPolling) {
        this.clock.reset(data.speed);
        this.sounds.forget();
      }
      this.lateSince = null;
      this.needsLogin = false;
      this.store.replace(data);
    }
    const late = this.clock.take(data.time, received);
    if (kind === "update" && !this.store.update(data)) {
      return false;
    }
    if (kind === "heartbeat" && !this.store.beat(data)) {
      return false;
    }
    if (late > LATE) {
      this.lateSince ??= data.time;
    }
    this.sounds.take(this.store.doc, this.settings);
    this.draw();
    return late <= LATE;
  }

  tick(now) {
    this.stream.tick(now);
    const wall = Date.now() - now;
    if (Math.abs(wall - this.wall) > SLEEP) {
      // performance.now() may have stood still meanwhile.
      this.stream.heard -= Math.max(0, wall - this.wall);
      this.wall = wall;
      this.wake();
    }
    const isStale = this.stale() !== null;
    const turns = this.settings.mode === "tv" && now >= (this.rotation.turnAt ?? Infinity);
    if (isStale !== this.wasStale || turns) {
      this.draw();
    }
  }

  // The page is visible again, or the computer has slept: what it shows may be hours old.
  wake() {
    if (document.hidden) {
      this.places.close(); // nobody looks
    } else if (!this.needsLogin) {
      this.restart();
    }
  }

  // Open the stream anew. The levels of its first snapshot are not new, even if polling delivers it.
  restart() {
    this.sounds.forget();
    this.stream.restart();
  }

  // Return since when the data are old, and why; null while they are current.
  stale() {
    const { doc } = this.store;
    if (!doc) {
      return null;
    }
    const silent = performance.now() - this.stream.heard > SILENCE;
    if (silent || this.lateSince !== null) {
      return { time: this.lateSince ?? doc.time, reason: silent ? t("server_silent") : t("data_late") };
    }
    if (!doc.feed.live && doc.feed.was_live) {
      return { time: doc.feed.since, reason: doc.feed.text };
    }
    return null;
  }

  readAddress() {
    const before = viewQuery(this.settings);
    const { lang } = this.settings;
    this.settings = readSettings();
    applyTheme(this.settings);
    if (viewQuery(this.settings) !== before) {
      this.openStream();
      this.stream.start();
    }
    if (this.settings.lang !== lang) {
      this.readTexts().then(() => this.draw());
    } else {
      this.draw();
    }
  }

  // Change the address of the page, and what it shows.
  go(changes) {
    history.pushState(null, "", addressWith(changes));
    this.readAddress();
  }

  async logout() {
    await postJson("./logout", {});
    this.restart();
  }

  board() {
    const { doc } = this.store;
    const stale = this.stale();
    this.wasStale = stale !== null;
    this.clock.freeze(null);
    const now = this.clock.now();
    this.clock.freeze(stale ? stale.time : null);
    return {
      doc,
      clock: this.clock,
      settings: this.settings,
      feed: doc.feed,
      stale: stale && { since: moment(stale.time, now, doc.zone), reason: stale.reason },
      canAct: doc.commands && stale === null,
      logout: this.stream.account ? () => this.logout() : null,
      go: (changes) => this.go(changes),
    };
  }

  draw() {
    if (this.isStarted) {
      render(this.view(), this.root);
    }
  }

  view() {
    if (this.needsLogin) {
      const onLogin = () => {
        this.needsLogin = false;
        this.restart();
      };
      return html`<${Login} onLogin=${onLogin} />`;
    }
    if (!this.store.doc) {
      return html`<${Empty} text=${t("connecting")} />`;
    }
    const board = this.board();
    document.title = board.doc.site ? `${board.doc.site} – ${t("wallboard")}` : t("wallboard");
    document.documentElement.dataset.stale = String(board.stale !== null);
    if (!board.doc.feed.live && !board.doc.feed.was_live) {
      return html`<${Empty} text=${board.feed.text} board=${board} />`;
    }
    // The key makes new elements for another language: rows that stay the same are not drawn again.
    switch (this.settings.mode) {
      case "tv":
        return html`<${Tv} key=${this.textsOf} board=${board} rotation=${this.rotation} />`;
      case "phone":
        return html`<${Phone} key=${this.textsOf} board=${board} places=${this.places} />`;
      default:
        return html`<${Desk} key=${this.textsOf} board=${board} places=${this.places} />`;
    }
  }
}

// Page before the first data.
function Empty({ text, board }) {
  return html`<main class="empty">
    ${board ? html`<${StaleNotice} board=${board} />` : null}
    <h1>${t("no_data_yet")}</h1><p role="status">${text}</p>
  </main>`;
}

// supported.js has looked at the browser before.
if (!document.documentElement.dataset.unsupported) {
  new Wallboard(document.getElementById("root")).start();
}
