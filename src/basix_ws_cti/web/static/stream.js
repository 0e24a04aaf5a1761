// Connection to the server: server-sent events, with polling where a proxy holds them back.
//
// The browser's EventSource gives up for good after one answer such as 502, and a frozen server
// raises no error. So this class watches the stream itself, and opens a new one when it ends or is
// silent, after reading ./status. All times are those of performance.now(), in milliseconds.

export const SILENCE = 12_000; // without a frame, after which the page is stale
export const LATE = 5_000; // delay of a frame from which on the page is stale
const FIRST_FRAME = 5_000; // wait for the first frame, before polling
const POLL = 2_000; // between two polls
const TRY_STREAM = 60_000; // while polling, between two attempts to open a stream
const REQUEST = 8_000; // wait for the answer to a request
const SLOWEST_RETRY = 10_000;

export class Stream {
  // `query` is the part of the address that selects the view. `handle` has the functions
  // frame(kind, data, received), which returns false if a snapshot is needed, and login().
  constructor(query, handle) {
    this.query = query;
    this.handle = handle;
    this.source = null;
    this.opened = 0;
    this.heard = null; // time of the last frame
    this.hasFrame = false; // the open stream has delivered a frame
    this.failures = 0;
    this.retryAt = null;
    this.pollAt = null;
    this.account = null; // name that the browser has logged in with
    this.request = null; // {controller, started} of a request in progress
  }

  start() {
    this.checkStatus();
  }

  stop() {
    this.closeSource();
    this.request?.controller.abort();
    this.request = null;
    this.retryAt = null;
    this.pollAt = null;
  }

  // Open a new stream now: the page was asleep, or frames are missing.
  restart() {
    this.stop();
    this.checkStatus();
  }

  get isPolling() {
    return this.pollAt !== null;
  }

  tick(now) {
    if (this.request && now - this.request.started > REQUEST) {
      this.request.controller.abort();
    }
    if (this.source && !this.hasFrame && now - this.opened > FIRST_FRAME) {
      this.closeSource();
      this.pollAt = now;
      this.retryAt = now + TRY_STREAM;
    }
    if (this.source && this.hasFrame && now - this.heard > SILENCE) {
      this.fail();
    }
    if (this.retryAt !== null && now >= this.retryAt && !this.request) {
      this.retryAt = null;
      this.checkStatus();
    } else if (this.pollAt !== null && now >= this.pollAt && !this.request) {
      this.pollAt = now + POLL;
      this.poll();
    }
  }

  open() {
    this.closeSource();
    this.opened = performance.now();
    const source = new EventSource(`./stream${this.query}`);
    this.source = source;
    for (const kind of ["snapshot", "update", "heartbeat"]) {
      source.addEventListener(kind, (event) => {
        if (source === this.source) {
          this.take(kind, event.data);
        }
      });
    }
    source.addEventListener("error", () => {
      if (source === this.source) {
        this.fail();
      }
    });
  }

  // Take a frame of the stream, or the answer to a poll. A poll's answer says nothing about the
  // stream: one that arrives while a stream is tried must not end the polling.
  take(kind, text, isStreamed = true) {
    const received = performance.now();
    let data;
    try {
      data = JSON.parse(text);
    } catch {
      this.fail();
      return;
    }
    this.heard = received;
    this.failures = 0;
    if (isStreamed) {
      this.hasFrame = true;
      this.pollAt = null;
    }
    if (this.handle.frame(kind, data, received) === false) {
      this.fail();
    }
  }

  // Close the stream, and open another one later. The delay is random, so that many browsers do not
  // come back at the same moment.
  fail() {
    this.closeSource();
    const delay = Math.min(SLOWEST_RETRY, 1000 * 2 ** this.failures);
    this.failures = Math.min(this.failures + 1, 10);
    this.retryAt = performance.now() + delay * (0.5 + Math.random() / 2);
  }

  closeSource() {
    this.source?.close();
    this.source = null;
    this.hasFrame = false;
  }

  async checkStatus() {
    const answer = await this.get("./status");
    if (answer === "login") {
      this.handle.login();
    } else if (answer === null) {
      this.fail();
    } else if (answer !== undefined) {
      this.account = readName(answer);
      this.open();
    }
  }

  async poll() {
    const answer = await this.get(`./state${this.query}`);
    if (answer === "login") {
      this.stop();
      this.handle.login();
    } else if (answer && this.pollAt !== null) {
      this.take("snapshot", answer, false);
    }
  }

  // Return the text of a JSON answer, "login", null after an error, or undefined if the request has
  // been given up for another one.
  async get(url) {
    const request = { controller: new AbortController(), started: performance.now() };
    this.request = request;
    let result = null;
    try {
      const response = await fetch(url, {
        signal: request.controller.signal,
        cache: "no-store",
        headers: { Accept: "application/json" },
      });
      if (response.status === 401) {
        result = "login";
      } else if (response.ok && /^application\/json\b/.test(response.headers.get("Content-Type"))) {
        result = await response.text();
      }
    } catch {
      // The server cannot be reached, or takes too long: null.
    }
    if (this.request !== request) {
      return undefined;
    }
    this.request = null;
    return result;
  }
}

// Return the name of the account in an answer of ./status, or null.
function readName(answer) {
  try {
    return JSON.parse(answer).name ?? null;
  } catch {
    return null;
  }
}
