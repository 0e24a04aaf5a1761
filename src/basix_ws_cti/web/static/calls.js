// Calls in progress, with their phases as a timeline, and parked calls.

import { html } from "./vendor/preact-htm.js";
import { CallActions } from "./actions.js";
import { plain } from "./format.js";
import { Elapsed, LevelBadge, levelClass, Memo, Name, Ticking } from "./parts.js";
import { t } from "./texts.js";

// Kinds of phases that have a look of their own.
const KINDS = ["ivr", "queued", "ringing", "talking", "parked"];
const WIDTH = 400; // units of a timeline
const SHORTEST = 120_000; // milliseconds that the timeline of a short call covers

export function CallList({ board, places }) {
  const { doc, settings } = board;
  const byStart = (one, other) => doc.calls[one].started - doc.calls[other].started || (one < other ? -1 : 1);
  const keys = Object.keys(doc.calls).sort(byStart);
  const shown = settings.sort === "longest" ? keys : places.place(keys);
  return html`<section class="panel calls">
    <header><h2>${t("calls_in_progress")}</h2><span class="count">${keys.length}</span><${PhaseLegend} /></header>
    ${keys.length ? null : html`<p class="none">${t("no_calls")}</p>`}
    <ul class="rows">
      ${shown.map((key, index) => key === null
        ? html`<li class="call gone" key=${`place-${index}`} aria-hidden="true"></li>`
        : html`<${CallRow} key=${key} call=${doc.calls[key]} clock=${board.clock} queue=${doc.queues[doc.calls[key].queue]?.name} isOn=${board.canAct} />`)}
    </ul>
  </section>`;
}

class CallRow extends Memo {
  render({ call, clock, queue, isOn }) {
    const last = call.phases[call.phases.length - 1];
    return html`<li class="call${levelClass(call.level)}">
      <div class="call-ends">
        <span class="direction">${t(`direction_${call.direction}`)}</span>
        <${Name} text=${call.caller} /><span aria-hidden="true">→</span><${Name} text=${queue ?? (call.with || call.called)} />
      </div>
      <div class="call-now"><${Name} text=${last?.text} /><${LevelBadge} level=${call.level} /></div>
      <${Timeline} call=${call} clock=${clock} />
      <${Elapsed} since=${call.started} clock=${clock} />
      ${call.channel ? html`<${CallActions} channel=${call.channel} isOn=${isOn} subject=${call.caller} title=${t("actions")} />` : null}
    </li>`;
  }
}

// Phases of a call from its start until now, each as wide as it was long.
class Timeline extends Ticking {
  text() {
    const { call, clock } = this.props;
    const now = clock.now() ?? call.started;
    const span = Math.max(SHORTEST, now - call.started);
    const at = (time) => Math.min(WIDTH, Math.max(0, Math.round(((time - call.started) / span) * WIDTH)));
    this.bars = call.phases.map((phase) => {
      const left = at(phase.started);
      return { kind: KINDS.includes(phase.kind) ? phase.kind : "other", left, width: at(phase.ended ?? now) - left };
    });
    return this.bars.map((bar) => `${bar.kind} ${bar.left} ${bar.width}`).join();
  }

  render({ call }) {
    this.shown = this.text();
    const label = call.phases.map((phase) => plain(phase.text)).join(", ");
    return html`<svg class="timeline" viewBox="0 0 ${WIDTH} 16" preserveAspectRatio="none" role="img" aria-label=${label || t("calls_in_progress")}>
      <rect class="track" width=${WIDTH} height="16" />
      ${this.bars.map((bar, index) => html`<${Bar} key=${index} ...${bar} />`)}
    </svg>`;
  }
}

// The heights differ too: phases can be told apart without their colours.
const BAR_SHAPES = { ivr: [6, 4], queued: [4, 8], ringing: [2, 12], talking: [0, 16], parked: [4, 8], other: [6, 4] };

function Bar({ kind, left, width }) {
  const [top, height] = BAR_SHAPES[kind];
  return html`<rect class="phase phase-${kind}" x=${left} y=${top} width=${Math.max(2, width)} height=${height} />`;
}

function PhaseLegend() {
  return html`<ul class="legend">${KINDS.map((kind) => html`<li key=${kind}>
    <svg class="swatch" viewBox="0 0 24 16" aria-hidden="true"><${Bar} kind=${kind} left=${0} width=${24} /></svg>${t(`phase_${kind}`)}
  </li>`)}</ul>`;
}

export function ParkedList({ board }) {
  const rows = Object.entries(board.doc.parked).sort(
    ([, one], [, other]) => Number(one.slot) - Number(other.slot) || (String(one.slot) < String(other.slot) ? -1 : 1),
  );
  return html`<section class="panel parked">
    <header><h2>${t("parked_calls")}</h2><span class="count">${rows.length}</span></header>
    ${rows.length ? null : html`<p class="none">${t("no_parked_calls")}</p>`}
    <ul class="rows">${rows.map(([key, row]) => html`<li key=${key} class="parked-row${levelClass(row.level)}">
      <span class="slot">${plain(row.slot)}</span>
      <span class="who"><${Name} text=${row.caller} />${row.by ? html`<small>${t("parked_by", { name: plain(row.by) })}</small>` : null}</span>
      <span class="since"><${LevelBadge} level=${row.level} /><${Elapsed} since=${row.since} clock=${board.clock} /></span>
    </li>`)}</ul>
  </section>`;
}
