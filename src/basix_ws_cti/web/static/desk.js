// View for a supervisor's desk, from 1000 pixels on.

import { html } from "./vendor/preact-htm.js";
import { AgentPanel } from "./agents.js";
import { CallList, ParkedList } from "./calls.js";
import { DayBars } from "./day.js";
import { countingSince, formula, queuesByName, Tiles } from "./figures.js";
import { count, percent } from "./format.js";
import { Clock, Elapsed, FeedState, LevelBadge, levelClass, Name, QueueFigure, StaleNotice, StateLegend, worstLevel } from "./parts.js";
import { addressWith } from "./settings.js";
import { t } from "./texts.js";

export function Desk({ board, places }) {
  return html`<div class="desk">
    <${TopBar} board=${board} />
    <${StaleNotice} board=${board} />
    <main>
      <${Tiles} board=${board} />
      <div class="columns">
        <div class="column">
          <${QueuePanel} board=${board} />
          <${CallList} board=${board} places=${places} />
          <${DayBars} board=${board} />
        </div>
        <div class="column">
          <${AgentPanel} board=${board} />
          <${ParkedList} board=${board} />
        </div>
      </div>
    </main>
    <${Foot} board=${board} />
  </div>`;
}

export function TopBar({ board }) {
  const { doc, settings } = board;
  return html`<header class="top">
    <h1><${Name} text=${doc.site || t("wallboard")} /></h1>
    <${FeedState} board=${board} />
    <${Clock} board=${board} />
    <span class="spacer"></span>
    <nav aria-label=${t("view")}>
      <${Choice} board=${board} name="mode" values=${{ desk: t("view_desk"), tv: t("view_tv"), phone: t("view_phone") }} value=${settings.mode} />
      <${Choice} board=${board} name="lang" values=${{ en: "English", ja: "日本語" }} value=${settings.lang} />
      <${Choice} board=${board} name="theme" values=${{ light: t("theme_light"), dark: t("theme_dark") }} value=${document.documentElement.dataset.theme} />
      <${Choice} board=${board} name="sort" values=${{ name: t("sort_name"), state: t("sort_state"), longest: t("sort_longest") }} value=${settings.sort} />
      ${board.doc.sound ? html`<${SoundButton} board=${board} />` : null}
      ${board.doc.report ? html`<a class="button" href="./report">${t("reports")}</a>` : null}
      ${board.logout ? html`<button type="button" onClick=${board.logout}>${t("log_out")}</button>` : null}
    </nav>
  </header>`;
}

function Choice({ board, name, values, value }) {
  return html`<label class="choice"><span class="hidden">${t(`choose_${name}`)}</span>
    <select value=${value} onChange=${(event) => board.go({ [name]: event.target.value })}>
      ${Object.entries(values).map(([one, text]) => html`<option key=${one} value=${one} selected=${one === value}>${text}</option>`)}
    </select>
  </label>`;
}

function SoundButton({ board }) {
  const isOn = board.settings.sounds.length > 0;
  return html`<button type="button" aria-pressed=${isOn} onClick=${() => board.go({ sound: isOn ? null : ["alarm"] })}>
    ${isOn ? t("sound_on") : t("sound_off")}
  </button>`;
}

export function Foot({ board }) {
  return html`<footer class="foot">
    <${StateLegend} />
    <p>${formula(board)} · ${countingSince(board)}</p>
  </footer>`;
}

function QueuePanel({ board }) {
  const queues = queuesByName(board.doc);
  const isFiltered = board.settings.queues.length + board.settings.users.length > 0;
  return html`<section class="panel queues">
    <header>
      <h2>${t("queues")}</h2><span class="count">${queues.length}</span><span class="spacer"></span>
      ${isFiltered ? html`<${Link} board=${board} changes=${{ queue: null, user: null }}>${t("all_queues")}<//>` : null}
    </header>
    ${queues.length ? null : html`<p class="none">${t("no_queues")}</p>`}
    <ul class="queue-cards">${queues.map((queue) => html`<${DeskQueue} key=${queue.key} board=${board} queue=${queue} />`)}</ul>
  </section>`;
}

// Link to the page with other filters: an address that can be kept and sent.
export function Link({ board, changes, children }) {
  const follow = (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
      event.preventDefault();
      board.go(changes);
    }
  };
  return html`<a href=${addressWith(changes)} onClick=${follow}>${children}</a>`;
}

export function DeskQueue({ board, queue }) {
  const level = worstLevel(queue.levels);
  const figure = (name, value) =>
    html`<${QueueFigure} title=${t(`figure_${name}`)} level=${queue.levels?.[name]}>${value}<//>`;
  return html`<li class="card${levelClass(level)}">
    <header>
      <h3><${Link} board=${board} changes=${{ queue: queue.key }}><${Name} text=${queue.name} /><//></h3>
      <${LevelBadge} level=${level} />
    </header>
    <dl class="queue-figures">
      ${figure("waiting", count(queue.waiting))}
      ${figure("longest_wait", html`<${Elapsed} since=${queue.longest_since} clock=${board.clock} />`)}
      ${figure("service_level", percent(queue.service_level))}
      ${figure("answered_offered", `${count(queue.answered)}/${count(queue.offered)}`)}
      ${figure("abandon_rate", percent(queue.abandon_rate))}
    </dl>
  </li>`;
}
