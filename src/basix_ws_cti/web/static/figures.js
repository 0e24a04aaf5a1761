// Headline figures: their titles, values, and limits in words.

import { html } from "./vendor/preact-htm.js";
import { count, duration, percent, timeOfDay, hourMinute, day } from "./format.js";
import { Elapsed, isRaised, LevelSign, levelClass, RANKS, worstLevel } from "./parts.js";
import { t } from "./texts.js";

// Figures whose lower values are the worse ones.
const FALLING = new Set(["service_level"]);
const SHARES = new Set(["service_level", "abandon_rate"]);

function limitText(name, value) {
  return SHARES.has(name) ? percent(value) : duration(value);
}

// Return the limit that counts at a level, in words; null for a figure without limits.
export function limitInWords(name, figure) {
  if (!figure?.limits) {
    return isRaised(figure?.level) ? t(figure.level) : null;
  }
  const [warning, alarm] = figure.limits;
  const direction = FALLING.has(name) ? "below" : "over";
  if (figure.level === "alarm") {
    return t(`alarm_${direction}`, { limit: limitText(name, alarm) });
  }
  const key = figure.level === "warning" ? `warning_${direction}` : `warning_from_${direction}`;
  return t(key, { limit: limitText(name, warning) });
}

// The six tiles: title, figure with the limits, main value, second value, and words below.
export function tiles(board) {
  const figures = board.doc.figures;
  const value = (name) => figures[name]?.value ?? null;
  const longest = figures.longest_wait;
  return [
    {
      name: "waiting",
      main: count(value("waiting")),
      words: t("calls_in_queues"),
    },
    {
      name: "longest_wait",
      main: html`<${Elapsed} since=${longest?.since} clock=${board.clock} />`,
      text: longest?.since ? duration(board.clock.secondsSince(longest.since)) : "",
      words: t("nobody_waits"),
    },
    {
      name: "talking_free",
      main: count(value("talking")),
      second: `/${count(value("free"))}`,
      words: t("agents_now"),
    },
    {
      name: "service_level",
      main: percent(value("service_level"), figures.service_level?.limits),
      words: t("within", { seconds: board.doc.service_level_threshold }),
    },
    {
      name: "answered_offered",
      main: count(value("answered")),
      second: `/${count(value("offered"))}`,
      words: countingSince(board),
    },
    {
      name: "abandoned",
      figure: figures.abandon_rate,
      limitName: "abandon_rate",
      main: count(value("abandoned")),
      second: figures.abandon_rate?.value == null ? "" : percent(value("abandon_rate"), figures.abandon_rate.limits),
      words: countingSince(board),
    },
  ].map((tile) => ({ limitName: tile.name, figure: figures[tile.name], ...tile }));
}

// Width of a text in digits. A colon is narrow, and a percent sign is wide.
function widthOf(text) {
  const widths = { ":": 0.6, "%": 1.6 };
  return Array.from(text).reduce((sum, char) => sum + (widths[char] ?? 1), 0);
}

// Size class of digits, by their width. The second value is drawn at half size.
function fit({ main, second = "", text }) {
  const width = widthOf(text ?? main) + widthOf(second) * 0.5;
  const size = [3, 4, 5, 6, 7, 9].find((one) => width <= one) ?? 11;
  return `fit-${size}`;
}

export function Tile({ tile }) {
  const { figure, limitName } = tile;
  const level = figure?.level;
  const words = limitInWords(limitName, figure) ?? tile.words;
  return html`<section class="tile${levelClass(level)}" data-figure=${tile.name}>
    <h2>${t(`figure_${tile.name}`)}</h2>
    <p class="digits ${fit(tile)}">${tile.main}${tile.second ? html`<span class="second">${tile.second}</span>` : null}</p>
    <p class="words">${isRaised(level) ? html`<${LevelSign} level=${level} />` : null}<span>${words}</span></p>
  </section>`;
}

export function Tiles({ board }) {
  return html`<div class="tiles">${tiles(board).map((tile) => html`<${Tile} key=${tile.name} tile=${tile} />`)}</div>`;
}

// Return the period of the counts: today, or since a time.
export function countingSince(board) {
  const { counting, zone } = board.doc;
  if (counting?.since === null || counting?.since === undefined) {
    return t("today");
  }
  if (timeOfDay(counting.since, zone) === "00:00:00") {
    return t("today");
  }
  const now = board.clock.now() ?? board.doc.time;
  const time = hourMinute(counting.since, zone);
  const date = day(counting.since, zone);
  return t("since", { time: date === day(now, zone) ? time : `${date} ${time}` });
}

export function formula(board) {
  return t("service_level_formula", { seconds: board.doc.service_level_threshold });
}

// Queues in the order of their names: a stable one. Keys decide between equal names.
export function queuesByName(doc) {
  return byName(Object.entries(doc.queues).map(([key, queue]) => ({ key, ...queue })));
}

const collators = new Map();

export function byName(rows) {
  const { lang } = document.documentElement;
  if (!collators.has(lang)) {
    collators.set(lang, new Intl.Collator(lang, { numeric: true }));
  }
  const { compare } = collators.get(lang);
  return rows.sort((one, other) => compare(one.name, other.name) || compare(one.key, other.key));
}

// Queues over a limit first, and then by name.
export function queuesByUrgency(doc) {
  return queuesByName(doc)
    .map((queue) => ({ queue, rank: RANKS[worstLevel(queue.levels)] }))
    .sort((one, other) => other.rank - one.rank)
    .map(({ queue }) => queue);
}
