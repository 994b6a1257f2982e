// Name and password; the field for a one-time code comes when it is asked for.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { logIn } from "../api.js";
import { language, t } from "../i18n.js";

export function LogIn({ onDone, relang }) {
  const [error, setError] = useState("");
  const [wantsCode, setWantsCode] = useState(false);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = `${t("login")} · Khiên`;
  });
  const send = async (e) => {
    e.preventDefault();
    if (busy) return;
    const f = new FormData(e.target);
    setBusy(true);
    setError("");
    try {
      onDone(await logIn(f.get("name"), f.get("password"), f.get("code")));
      return;
    } catch (problem) {
      if (problem.status === 401 && problem.challenge === "Code") {
        setWantsCode(true);
        setTimeout(() => document.querySelector("[name=code]")?.focus());
      } else setError(problem.status === 401 ? t("login.wrong") : problem.status === 429 ? t("login.locked") : problem.message);
    }
    setBusy(false);
  };
  return html`<main class="login">
    <h1><img src="/console/icon.svg" alt="" width="40" height="40" /> Khiên</h1>
    <p class="quiet">${t("login.what")}</p>
    <form onSubmit=${send}>
      <label>${t("login.name")}<input name="name" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus /></label>
      <label>${t("login.password")}<input name="password" type="password" autocomplete="current-password" required /></label>
      ${wantsCode && html`<label>${t("login.code")}<input name="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9]{6}" maxlength="6" required /></label>`}
      ${error && html`<p class="problem" role="alert">${error}</p>`}
      <button class="primary" type="submit" disabled=${busy}>${t("login")}</button>
    </form>
    <p><button onClick=${() => relang(language() === "vi" ? "en" : "vi")} lang=${language() === "vi" ? "en" : "vi"}>${language() === "vi" ? "English" : "Tiếng Việt"}</button></p>
  </main>`;
}
