// View for a screen on the wall, 1920×1080: nothing scrolls, and pages of queues take turns.

import { html } from "./vendor/preact-htm.js";
import { count, percent } from "./format.js";
import { countingSince, formula, queuesByUrgency, Tiles } from "./figures.js";
import {
  AgentSquare,
  Clock,
  Elapsed,
  FeedState,
  LevelBadge,
  levelClass,
  Name,
  QueueFigure,
  StaleNotice,
  StateLegend,
  stateName,
  STATES,
  worstLevel,
} from "./parts.js";
import { t } from "./texts.js";

const PER_PAGE = 6;
const MOST_PINNED = 3;
export const PAGE_TIME = 15_000;

// Number of agents that are listed by name, by the number of cards on the page.
const NAMED = { 1: 14, 2: 10, 3: 6 };

// Number of squares that fit into a card.
const MOST_SQUARES = { 1: 90, 2: 39, 3: 32, 4: 36, 5: 18, 6: 18 };

// Number of agents up to which the squares are larger.
const FEW = 8;

// Number of waiting calls in a card, by the number of cards on the page.
const MOST_WAITERS = { 1: 6, 2: 3, 3: 3, 4: 3, 5: 3, 6: 3 };

// Columns in which one card shows its agents, by the number of agents up to which they fill it.
const SINGLE_CARD_COLUMNS = [[16, 8], [30, 10], [52, 13], [90, 18]];

// Decides which queues are on the screen.
//
// Queues in alarm stay on every page, so that an alarm is never hidden; the others take turns. The
// order changes only when the page turns, except for a queue whose alarm begins.
export class Rotation {
  constructor() {
    this.page = 0;
    this.turnAt = null;
    this.order = [];
    this.pinned = [];
  }

  // Return {keys, page, pages} at a time. `fixed` is a page that is shown without rotation.
  look(doc, now, fixed) {
    const isDue = this.turnAt === null || now >= this.turnAt;
    const alarms = Object.keys(doc.queues).filter(
      (key) => worstLevel(doc.queues[key].levels) === "alarm",
    );
    const isNew = alarms.some((key) => !this.pinned.includes(key)) && this.pinned.length < MOST_PINNED;
    const isChanged = this.order.length !== Object.keys(doc.queues).length ||
      this.order.some((key) => !(key in doc.queues));
    if (isDue || isNew || isChanged) {
      const isFirst = this.turnAt === null;
      this.order = queuesByUrgency(doc).map((queue) => queue.key);
      this.pinned = this.order.filter((key) => alarms.includes(key)).slice(0, MOST_PINNED);
      this.page += isDue && !isFirst ? 1 : 0;
      this.turnAt = isDue ? now + PAGE_TIME : this.turnAt;
    }
    if (this.order.length <= PER_PAGE) {
      return { keys: this.order, page: 1, pages: 1 };
    }
    const others = this.order.filter((key) => !this.pinned.includes(key));
    const size = PER_PAGE - this.pinned.length;
    const pages = Math.ceil(others.length / size);
    const page = fixed ? Math.min(fixed, pages) - 1 : this.page % pages;
    const shown = others.slice(page * size, (page + 1) * size);
    return { keys: [...this.pinned, ...shown], page: page + 1, pages };
  }
}

export function Tv({ board, rotation }) {
  const { doc, settings } = board;
  const { keys, page, pages } = rotation.look(doc, performance.now(), settings.page);
  return html`<main class="tv">
    <header class="bar">
      <h1><${Name} text=${doc.site} /></h1>
      <span class="spacer"></span>
      <${StaleNotice} board=${board} />
      ${pages > 1 ? html`<span class="page-number">${t("page", { page, pages })}</span>` : null}
      ${board.stale ? null : html`<${FeedState} board=${board} />`}
      <${Clock} board=${board} />
    </header>
    <${Tiles} board=${board} />
    <div class="cards cards-${Math.max(1, keys.length)}">
      ${keys.map((key) => html`<${QueueCard} key=${key} board=${board} queue=${doc.queues[key]} cards=${keys.length} />`)}
      ${keys.length ? null : html`<p class="nothing">${t("no_queues")}</p>`}
    </div>
    <footer class="foot">
      <${StateLegend} states=${statesOf(doc)} />
      <span class="spacer"></span>
      <span>${formula(board)} · ${countingSince(board)}</span>
    </footer>
  </main>`;
}

// States that the legend explains: those of agents on any page.
function statesOf(doc) {
  const current = new Set(Object.values(doc.agents).map((agent) => agent.state));
  return STATES.filter((state) => current.has(state));
}

function QueueCard({ board, queue, cards }) {
  const level = worstLevel(queue.levels);
  const waiters = queue.waiters.slice(0, MOST_WAITERS[cards]);
  const agents = queue.agents.map((key) => [key, board.doc.agents[key]]).filter((one) => one[1]);
  return html`<section class="card${levelClass(level)}">
    <header>
      <h2><${Name} text=${queue.name} /></h2>
      <${LevelBadge} level=${level} />
    </header>
    <dl class="queue-figures">
      <${QueueFigure} title=${t("figure_waiting")} level=${queue.levels?.waiting}>${count(queue.waiting)}<//>
      <${QueueFigure} title=${t("figure_longest_wait")} level=${queue.levels?.longest_wait}>
        <${Elapsed} since=${queue.longest_since} clock=${board.clock} />
      <//>
      <${QueueFigure} title=${t("figure_service_level")} level=${queue.levels?.service_level}>${percent(queue.service_level)}<//>
      ${cards > 2 ? null : html`
        <${QueueFigure} title=${t("figure_answered_offered")}>${count(queue.answered)}<span class="second">/${count(queue.offered)}</span><//>
        <${QueueFigure} title=${t("figure_abandoned")} level=${queue.levels?.abandon_rate}>${count(queue.abandoned)}<//>`}
    </dl>
    <div class="waiters">
      <h3>${t("longest_waiters")}</h3>
      <ol class=${waiters.length <= 3 ? "few" : ""}>${waiters.map((one) => html`<li key=${one.call}>
        <${Name} text=${one.name} /><${Elapsed} since=${one.since} clock=${board.clock} />
      </li>`)}</ol>
      ${waiters.length ? null : html`<p class="none">${t("nobody_waits")}</p>`}
    </div>
    <${Agents} agents=${agents} clock=${board.clock} cards=${cards} />
  </section>`;
}

// Size of the rows of agents with their names: on a single card they fill the height.
function namedClass(count, cards) {
  if (cards === 1) {
    return count <= 6 ? "rows-3" : count <= 10 ? "rows-5" : "";
  }
  return count <= NAMED[cards] / 2 ? "few" : "";
}

// Size of the squares of agents.
function squaresClass(count, cards) {
  if (cards === 1) {
    const [, columns] = SINGLE_CARD_COLUMNS.find(([most]) => count <= most) ?? [null, 18];
    return `columns-${columns}`;
  }
  return count <= FEW ? "few" : "";
}

function Agents({ agents, clock, cards }) {
  const most = MOST_SQUARES[cards];
  const shown = agents.slice(0, agents.length > most ? most - 1 : most);
  const isNamed = agents.length <= (NAMED[cards] ?? 0);
  return html`<div class="agents">
    <h3>${t("agents_count", { count: agents.length })}</h3>
    ${isNamed
      ? html`<ul class="named ${namedClass(agents.length, cards)}">${shown.map(([key, agent]) => html`<li key=${key}>
          <${AgentSquare} agent=${agent} />
          <${Name} text=${agent.name} />
          <span class="state">${stateName(agent.state)}</span>
          <${Elapsed} since=${agent.since} clock=${clock} />
        </li>`)}</ul>`
      : html`<div class="squares ${squaresClass(agents.length, cards)}">
          ${shown.map(([key, agent]) => html`<${AgentSquare} key=${key} agent=${agent} />`)}
          ${agents.length > shown.length ? html`<span class="more">+${agents.length - shown.length}</span>` : null}
        </div>`}
  </div>`;
}
