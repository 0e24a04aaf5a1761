// Quarter-hour bars of the day: calls offered, answered and abandoned.

import { html } from "./vendor/preact-htm.js";
import { hourMinute } from "./format.js";
import { t } from "./texts.js";

const QUARTER = 900_000;
const STEP = 16; // units from one bar to the next
const HEIGHT = 120;
const FEWEST = 32; // quarter hours that the chart covers

export function DayBars({ board }) {
  const { day, zone } = board.doc;
  return html`<section class="panel day">
    <header><h2>${t("quarter_hours")}</h2><ul class="legend">
      <li><svg class="swatch" viewBox="0 0 24 16" aria-hidden="true"><rect class="bar-answered" width="24" height="16" /></svg>${t("answered")}</li>
      <li><svg class="swatch" viewBox="0 0 24 16" aria-hidden="true"><rect class="bar-abandoned" x="1" y="1" width="22" height="14" /></svg>${t("abandoned")}</li>
    </ul></header>
    ${day.length ? html`<${Chart} day=${day} zone=${zone} />` : html`<p class="none">${t("no_data_yet")}</p>`}
  </section>`;
}

function Chart({ day, zone }) {
  const first = Math.min(...day.map((one) => one.start));
  const last = Math.max(...day.map((one) => one.start));
  const places = Math.max(FEWEST, Math.round((last - first) / QUARTER) + 1);
  const most = Math.max(4, ...day.map((one) => one.answered + one.abandoned));
  const height = (number) => Math.round((number / most) * (HEIGHT - 8));
  const total = (name) => day.reduce((sum, one) => sum + one[name], 0);
  const label = t("quarter_hours_label", { answered: total("answered"), abandoned: total("abandoned") });
  const hours = [];
  for (let index = 0; index < places; index += 1) {
    const time = hourMinute(first + index * QUARTER, zone);
    if (time.endsWith(":00") && Number(time.slice(0, 2)) % (places > 64 ? 3 : 1) === 0) {
      hours.push({ time, x: index * STEP });
    }
  }
  return html`<div class="chart">
    <span class="most">${most}</span>
    <svg viewBox="0 0 ${places * STEP} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${label}>
      ${hours.map(({ x }) => html`<line key=${x} class="grid" x1=${x} x2=${x} y1="0" y2=${HEIGHT} />`)}
      ${day.map((one) => {
        const x = Math.round((one.start - first) / QUARTER) * STEP + 2;
        const answered = height(one.answered);
        const abandoned = height(one.abandoned);
        return html`<g key=${one.start}>
          <rect class="bar-answered" x=${x} y=${HEIGHT - answered} width=${STEP - 4} height=${answered} />
          ${abandoned ? html`<rect class="bar-abandoned" x=${x + 1} y=${HEIGHT - answered - abandoned} width=${STEP - 6} height=${abandoned} />` : null}
        </g>`;
      })}
      <line class="axis" x1="0" x2=${places * STEP} y1=${HEIGHT} y2=${HEIGHT} />
    </svg>
    <svg class="hours" aria-hidden="true">
      ${hours.map(({ time, x }) => html`<text key=${x} x="${(x / (places * STEP)) * 100}%" y="14">${time}</text>`)}
    </svg>
  </div>`;
}
