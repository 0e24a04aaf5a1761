// The PBX's clock, computed from the times in the frames, and the one timer of the page.
//
// The browser's own clock may be wrong, and may be set while the page is open. The page therefore
// measures with performance.now() only. Each frame carries the PBX's time when it was made, and
// arrives some time later: of all offsets seen, the smallest is the one with the least delay.

// Offsets are kept per minute, for ten minutes: the two clocks drift apart by seconds in a week.
const BUCKET = 60_000;
const BUCKETS = 10;

export class PbxClock {
  constructor() {
    this.buckets = [];
    this.offset = null; // the smallest one of the buckets; null before the first frame
    this.frozen = null;
    this.speed = 1;
  }

  // Forget all offsets: a new stream starts. A recording may run faster than real time: `speed` is
  // the PBX's time that passes per second.
  reset(speed) {
    this.buckets = [];
    this.offset = null;
    this.speed = speed || 1;
  }

  // Take the PBX's time in a frame; return by how many milliseconds the frame is late.
  take(time, received) {
    const offset = received * this.speed - time;
    const bucket = Math.floor(received / BUCKET);
    const newest = this.buckets[this.buckets.length - 1];
    if (newest && newest.bucket === bucket) {
      newest.offset = Math.min(newest.offset, offset);
    } else {
      this.buckets.push({ bucket, offset });
      this.buckets = this.buckets.slice(-BUCKETS);
    }
    this.offset = Math.min(...this.buckets.map((one) => one.offset));
    return (offset - this.offset) / this.speed;
  }

  // Return the PBX's time in milliseconds since the epoch; null before the first frame.
  now() {
    if (this.frozen !== null) {
      return this.frozen;
    }
    return this.offset === null ? null : performance.now() * this.speed - this.offset;
  }

  // Stop the clock at a time; null lets it run again.
  freeze(time) {
    this.frozen = time;
  }

  // Return the whole seconds since a time, never negative.
  secondsSince(start) {
    const now = this.now();
    return now === null ? 0 : Math.max(0, Math.floor((now - start) / 1000));
  }
}

// The one timer of the page. It calls functions in the order in which they were added.
const listeners = new Set();
const TICK = 250;

export function onTick(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function startTicking() {
  return setInterval(() => {
    for (const listener of listeners) {
      listener(performance.now());
    }
  }, TICK);
}
