// Small components that all views share.

import { Component, html } from "./vendor/preact-htm.js";
import { onTick } from "./clock.js";
import { duration, plain, timeOfDay } from "./format.js";
import { t } from "./texts.js";

// Component that is drawn again only if one of its properties is another value.
export class Memo extends Component {
  shouldComponentUpdate(next) {
    const names = Object.keys(next);
    return (
      names.length !== Object.keys(this.props).length ||
      names.some((name) => next[name] !== this.props[name])
    );
  }
}

// Component that draws itself again when the text that depends on the time has changed.
export class Ticking extends Component {
  componentDidMount() {
    this.stopTicking = onTick(() => {
      if (this.text() !== this.shown) {
        this.setState({});
      }
    });
  }

  componentWillUnmount() {
    this.stopTicking();
  }

  render() {
    this.shown = this.text();
    return html`<span class="time">${this.shown}</span>`;
  }
}

// Time since a moment, as 0:07. Without a moment: a dash.
export class Elapsed extends Ticking {
  text() {
    const { since, clock } = this.props;
    return since === null || since === undefined ? "–" : duration(clock.secondsSince(since));
  }
}

// Text that a function makes from the PBX's time.
export class TimeText extends Ticking {
  text() {
    const now = this.props.clock.now();
    return now === null ? "" : this.props.format(now);
  }
}

// Time of day of the PBX.
export function Clock({ board }) {
  const format = (now) => timeOfDay(now, board.doc.zone);
  return html`<span class="clock"><${TimeText} clock=${board.clock} format=${format} /></span>`;
}

export function Name({ text }) {
  const shown = plain(text);
  return html`<bdi class="name" title=${shown}>${shown}</bdi>`;
}

// Signs of a level: a triangle for a warning, an octagon for an alarm.
const LEVEL_SHAPES = {
  warning: "M12 2 L23 21 H1 Z",
  alarm: "M7.5 1.5 H16.5 L22.5 7.5 V16.5 L16.5 22.5 H7.5 L1.5 16.5 V7.5 Z",
};

export const isRaised = (level) => level === "warning" || level === "alarm";

export function LevelSign({ level }) {
  return html`<svg class="sign" viewBox="0 0 24 24" aria-hidden="true">
    <path class="sign-shape" d=${LEVEL_SHAPES[level]} />
    <path class="sign-mark" d=${level === "alarm" ? "M12 6 V13.5 M12 16.5 V18.5" : "M12 8.5 V14.5 M12 16.5 V18.5"} />
  </svg>`;
}

// Word and shape of a level; nothing for a normal one.
export function LevelBadge({ level }) {
  return isRaised(level)
    ? html`<span class="badge ${level}"><${LevelSign} level=${level} />${t(level)}</span>`
    : null;
}

// The worse a level, the higher its rank.
export const RANKS = { ok: 0, warning: 1, alarm: 2 };

export const levelClass = (level) => (isRaised(level) ? ` ${level}` : "");

export function worstLevel(levels) {
  const values = Object.values(levels || {});
  return ["alarm", "warning"].find((one) => values.includes(one)) ?? "ok";
}

export function QueueFigure({ title, level, children }) {
  return html`<div class="queue-figure${levelClass(level)}"><dt>${title}</dt><dd>${children}</dd></div>`;
}

// Shapes of the states of agents, which differ without their colours. They are made for each drawing:
// an element that is used again keeps earlier drawings in memory.
const STATE_SHAPES = {
  talking: () => html`<rect class="solid" x="3" y="3" width="18" height="18" rx="3" />`,
  calling: () => html`<rect class="outline" x="4" y="4" width="16" height="16" rx="3" /><path class="outline" d="M8.5 15.5 L15.5 8.5 M10 8.5 H15.5 V14" />`,
  ringing: () => html`<rect class="outline" x="4" y="4" width="16" height="16" rx="3" /><circle class="solid" cx="12" cy="12" r="4" />`,
  held: () => html`<rect class="outline" x="4" y="4" width="16" height="16" rx="3" /><path class="outline" d="M9.5 8.5 V15.5 M14.5 8.5 V15.5" />`,
  parked: () => html`<rect class="outline" x="4" y="4" width="16" height="16" rx="3" /><path class="outline" d="M10 17 V8 H12.5 A2.5 2.5 0 0 1 12.5 13 H10" />`,
  other: () => html`<rect class="outline" x="4" y="4" width="16" height="16" rx="3" /><path class="outline" d="M9 12 H15" />`,
  free: () => html`<circle class="outline" cx="12" cy="12" r="8" />`,
  offline: () => html`<path class="outline" d="M6 6 L18 18 M18 6 L6 18" />`,
};

// States in the order of legends and counts.
export const STATES = Object.keys(STATE_SHAPES);

export const stateName = (state) => t(`state_${STATES.includes(state) ? state : "other"}`);

export function StateShape({ state }) {
  return html`<svg class="shape" viewBox="0 0 24 24" aria-hidden="true">
    ${(STATE_SHAPES[state] ?? STATE_SHAPES.other)()}
  </svg>`;
}

// Square of an agent: shape of the state, and a raised level as a sign at its corner.
export class AgentSquare extends Memo {
  render({ agent }) {
    const label = `${plain(agent.name)}: ${stateName(agent.state)}`;
    return html`<span class="square ${agent.state}${levelClass(agent.level)}" role="img" aria-label=${label} title=${label}>
      <${StateShape} state=${agent.state} />
      ${isRaised(agent.level) ? html`<${LevelSign} level=${agent.level} />` : null}
    </span>`;
  }
}

export function StateLegend({ states = STATES }) {
  return html`<ul class="legend">
    ${states.map((one) => html`<li key=${one}><${StateShape} state=${one} />${stateName(one)}</li>`)}
  </ul>`;
}

// Feed state as a shape and a word.
export function FeedState({ board }) {
  const { stale, feed } = board;
  const kind = stale ? "lost" : feed.live ? "live" : "waiting";
  const shape = {
    live: html`<circle class="solid" cx="12" cy="12" r="7" />`,
    waiting: html`<circle class="outline" cx="12" cy="12" r="8" />`,
    lost: html`<path class="outline" d="M5 5 L19 19 M19 5 L5 19" />`,
  }[kind];
  return html`<span class="feed ${kind}">
    <svg class="shape" viewBox="0 0 24 24" aria-hidden="true">${shape}</svg>
    <span>${feed.live && !stale ? t("live") : feed.text}</span>
  </span>`;
}

// Line at the top of every view that says since when the values are old.
export function StaleNotice({ board }) {
  const { stale } = board;
  return html`<div class="stale-notice" role="alert" hidden=${!stale}>
    ${stale
      ? html`<strong>${t("stale_since", { time: stale.since })}</strong><span>${stale.reason}</span>`
      : null}
  </div>`;
}
