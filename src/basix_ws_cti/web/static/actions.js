// Commands to the PBX about a call or for an agent; only where the server allows them.

import { Component, html } from "./vendor/preact-htm.js";
import { plain } from "./format.js";
import { postJson } from "./posts.js";
import { t } from "./texts.js";

// Panel of commands that opens below a row. Subclasses draw its controls.
class Actions extends Component {
  state = { result: "", isBusy: false };

  async run(name, body) {
    this.setState({ isBusy: true, result: "" });
    const status = await postJson(`./commands/${name}`, body);
    const result = status === 200 ? "action_done" : status === 0 ? "action_unsent" : "action_refused";
    this.setState({ isBusy: false, result: t(result) });
  }

  get isOff() {
    return this.state.isBusy || !this.props.isOn;
  }

  // Form for a number; `send` gets the number.
  form(label, send) {
    const submit = (event) => {
      event.preventDefault();
      send(new FormData(event.target).get("destination").trim());
    };
    return html`<form onSubmit=${submit}>
      <label>${t("destination")} <input name="destination" inputmode="tel" autocomplete="off" required /></label>
      <button type="submit" disabled=${this.isOff}>${label}</button>
    </form>`;
  }

  // `sign` stands for the title where there is little space.
  render({ subject, title, sign }) {
    return html`<details class="actions">
      <summary aria-label="${title}: ${plain(subject)}" title=${title}>${sign ?? title}</summary>
      <div class="controls">${this.controls()}<span class="result" role="status">${this.state.result}</span></div>
    </details>`;
  }
}

export class CallActions extends Actions {
  controls() {
    const { channel } = this.props;
    const button = (name) => html`<button type="button" disabled=${this.isOff} onClick=${() => this.run(name, { channel })}>${t(name)}</button>`;
    return html`${button("hangup")}${button("park")}
      ${this.form(t("transfer"), (destination) => this.run("transfer", { channel, destination }))}`;
  }
}

export class AgentActions extends Actions {
  controls() {
    const { user } = this.props;
    return this.form(t("call"), (destination) => this.run("call", { user, destination }));
  }
}
