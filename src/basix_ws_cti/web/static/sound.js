// Sounds for levels that a figure or queue newly reaches; off unless the address asks for them.

import { RANKS } from "./parts.js";

const TONES = { warning: [660], alarm: [880, 660, 880] };
const LENGTH = 0.18; // seconds of one tone
const VOLUME = 0.2;

export class Sounds {
  constructor() {
    this.levels = null;
    this.audio = null;
  }

  // Forget the levels: those of the first snapshot of a view or stream are not new alarms.
  forget() {
    this.levels = null;
  }

  // Play the worst level that is new since the last call, if server and settings allow it.
  take(doc, settings) {
    const levels = levelsOf(doc);
    const before = this.levels;
    this.levels = levels;
    if (!before || !doc.sound) {
      return;
    }
    const risen = Object.keys(levels)
      .filter((name) => RANKS[levels[name] ?? "ok"] > RANKS[before[name] ?? "ok"])
      .map((name) => levels[name]);
    const wanted = ["alarm", "warning"].find((one) => risen.includes(one) && settings.sounds.includes(one));
    if (wanted) {
      this.play(wanted);
    }
  }

  play(level) {
    this.audio ??= new AudioContext();
    TONES[level].forEach((frequency, index) => {
      const oscillator = this.audio.createOscillator();
      const volume = this.audio.createGain();
      const start = this.audio.currentTime + index * LENGTH;
      oscillator.frequency.value = frequency;
      volume.gain.value = VOLUME;
      oscillator.connect(volume).connect(this.audio.destination);
      oscillator.start(start);
      oscillator.stop(start + LENGTH * 0.9);
    });
  }
}

function levelsOf(doc) {
  const levels = {};
  for (const [name, figure] of Object.entries(doc.figures)) {
    levels[name] = figure.level;
  }
  for (const [key, queue] of Object.entries(doc.queues)) {
    for (const [name, level] of Object.entries(queue.levels || {})) {
      levels[`${key} ${name}`] = level;
    }
  }
  return levels;
}
