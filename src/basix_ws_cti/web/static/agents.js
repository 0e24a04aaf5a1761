// Agents by queue, as rows and as counts that open.

import { html } from "./vendor/preact-htm.js";
import { AgentActions } from "./actions.js";
import { byName, queuesByName } from "./figures.js";
import { Elapsed, LevelBadge, levelClass, Memo, Name, StateShape, STATES, stateName } from "./parts.js";
import { t } from "./texts.js";

// Return the agents of each queue, and those of none: [{key, name, agents: [{key, …}]}].
export function agentGroups(doc, sort) {
  const groups = queuesByName(doc).map((queue) => ({
    key: queue.key,
    name: queue.name,
    agents: sortedRows(doc, queue.key, queue.agents, sort),
  }));
  const inQueues = new Set(Object.values(doc.queues).flatMap((queue) => queue.agents));
  const others = Object.keys(doc.agents).filter((key) => !inQueues.has(key));
  if (others.length) {
    groups.push({ key: "", name: t("without_queue"), agents: sortedRows(doc, "", others, sort) });
  }
  return groups;
}

// The rows of each group as they were sorted last. While no row of a group changes, its list is the
// same object, and the group is not drawn again: that makes 2,000 agents possible.
const sortedBefore = new Map();

function sortedRows(doc, group, keys, sort) {
  const before = sortedBefore.get(group);
  const rows = keys.map((key) => doc.agents[key]);
  const order = `${sort} ${document.documentElement.lang}`;
  if (before && before.order === order && before.rows.length === rows.length && rows.every((row, index) => row === before.rows[index])) {
    return before.sorted;
  }
  const sorted = rowsOf(doc, keys, sort);
  sortedBefore.set(group, { order, rows, sorted });
  return sorted;
}

function rowsOf(doc, keys, sort) {
  const rows = keys.filter((key) => doc.agents[key]).map((key) => ({ key, name: doc.agents[key].name, row: doc.agents[key] }));
  byName(rows);
  if (sort === "state") {
    rows.sort((one, other) => STATES.indexOf(one.row.state) - STATES.indexOf(other.row.state));
  } else if (sort === "longest") {
    rows.sort((one, other) => (one.row.since ?? Infinity) - (other.row.since ?? Infinity));
  }
  return rows;
}

export function StateCounts({ agents }) {
  const counts = STATES.map((state) => [state, agents.filter((one) => one.row.state === state).length]);
  return html`<span class="state-counts">${counts.filter(([, number]) => number).map(([state, number]) => html`
    <span key=${state} class="state-count" role="img" aria-label="${stateName(state)}: ${number}" title=${stateName(state)}>
      <${StateShape} state=${state} />${number}
    </span>`)}</span>`;
}

export class AgentRow extends Memo {
  render({ id, agent, clock, actions }) {
    return html`<li class="agent ${agent.state}${levelClass(agent.level)}">
      <${StateShape} state=${agent.state} />
      <span class="who"><${Name} text=${agent.name} />${agent.extension ? html`<small class="extension">${agent.extension}</small>` : null}</span>
      <span class="doing"><span class="state">${stateName(agent.state)}</span>${agent.with ? html`<small><${Name} text=${agent.with} /></small>` : null}</span>
      <span class="since"><${LevelBadge} level=${agent.level} /><${Elapsed} since=${agent.since} clock=${clock} /></span>
      ${actions ? html`<${AgentActions} user=${id} isOn=${actions === "on"} subject=${agent.name} title=${t("call")} sign="⋯" />` : null}
    </li>`;
  }
}

export function AgentPanel({ board }) {
  const groups = agentGroups(board.doc, board.settings.sort);
  const actions = board.doc.starts_calls && (board.canAct ? "on" : "off");
  return html`<section class="panel agent-panel">
    <header><h2>${t("agents")}</h2><span class="count">${Object.keys(board.doc.agents).length}</span></header>
    ${groups.map((group) => html`<${AgentGroup} key=${group.key} name=${group.name} agents=${group.agents} clock=${board.clock} actions=${actions} />`)}
  </section>`;
}

class AgentGroup extends Memo {
  render({ name, agents, clock, actions }) {
    return html`<section class="agent-group">
      <h3><${Name} text=${name} /><${StateCounts} agents=${agents} /></h3>
      ${agents.length ? null : html`<p class="none">${t("no_agents")}</p>`}
      <ul class="rows">${agents.map((one) => html`<${AgentRow} key=${one.key} id=${one.key} agent=${one.row} clock=${clock} actions=${actions} />`)}</ul>
    </section>`;
  }
}
