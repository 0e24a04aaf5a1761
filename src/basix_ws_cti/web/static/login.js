// Login form.

import { Component, html } from "./vendor/preact-htm.js";
import { postJson } from "./posts.js";
import { t } from "./texts.js";

export class Login extends Component {
  state = { error: "", isBusy: false };

  submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    this.setState({ isBusy: true, error: "" });
    const status = await postJson("./login", Object.fromEntries(form));
    if (status >= 200 && status < 300) {
      this.props.onLogin();
      return;
    }
    const error = status === 401 || status === 403 ? "login_failed" : "login_unavailable";
    this.setState({ isBusy: false, error: t(error) });
  };

  render(_, { error, isBusy }) {
    return html`<main class="login">
      <form onSubmit=${this.submit}>
        <h1>${t("wallboard")}</h1>
        <label>${t("user_name")}<input name="name" autocomplete="username" required autofocus /></label>
        <label>${t("password")}<input name="password" type="password" autocomplete="current-password" required /></label>
        <p class="error" role="alert">${error}</p>
        <button type="submit" disabled=${isBusy}>${t("log_in")}</button>
      </form>
    </main>`;
  }
}
