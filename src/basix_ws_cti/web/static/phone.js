// View for a phone, 390 pixels wide: the worst queue first, agents as counts that open.

import { html } from "./vendor/preact-htm.js";
import { agentGroups, AgentRow, StateCounts } from "./agents.js";
import { CallList, ParkedList } from "./calls.js";
import { DeskQueue, Foot, Link } from "./desk.js";
import { queuesByUrgency, Tiles } from "./figures.js";
import { Clock, FeedState, Name, StaleNotice } from "./parts.js";
import { t } from "./texts.js";

export function Phone({ board, places }) {
  const { doc, clock, settings } = board;
  return html`<div class="phone">
    <header class="top">
      <h1><${Name} text=${doc.site || t("wallboard")} /></h1>
      <span class="spacer"></span>
      ${board.stale ? null : html`<${FeedState} board=${board} />`}
      <${Clock} board=${board} />
    </header>
    <${StaleNotice} board=${board} />
    <main>
      <${Tiles} board=${board} />
      <section class="queues">
        <h2>${t("queues")}</h2>
        ${Object.keys(doc.queues).length ? null : html`<p class="none">${t("no_queues")}</p>`}
        ${settings.queues.length ? html`<p><${Link} board=${board} changes=${{ queue: null }}>${t("all_queues")}<//></p>` : null}
        <ul class="queue-cards">${queuesByUrgency(doc).map((queue) => html`<${DeskQueue} key=${queue.key} board=${board} queue=${queue} />`)}</ul>
      </section>
      <section class="agent-groups">
        <h2>${t("agents")}</h2>
        ${agentGroups(doc, settings.sort).map((group) => html`<details key=${group.key}>
          <summary><${Name} text=${group.name} /><${StateCounts} agents=${group.agents} /></summary>
          <ul class="rows">${group.agents.map((one) => html`<${AgentRow} key=${one.key} agent=${one.row} clock=${clock} />`)}</ul>
        </details>`)}
      </section>
      <${CallList} board=${board} places=${places} />
      <${ParkedList} board=${board} />
    </main>
    <${Foot} board=${board} />
  </div>`;
}
