// The shell: who is logged in, which view, the language, light or dark, shortcuts, and the one stream that says something changed.
import { html, render } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { logOut, onSessionEnd, whoAmI } from "./api.js";
import { language, setLanguage, t, word } from "./i18n.js";
import { enabled, handleKey, listed, setEnabled, useKeys } from "./keys.js";
import { useLive } from "./live.js";
import { Dialog } from "./ui.js";
import { LogIn } from "./views/login.js";
import { Today } from "./views/today.js";
import { Cases } from "./views/cases.js";
import { Case } from "./views/case.js";
import { Sender } from "./views/sender.js";
import { Orders } from "./views/orders.js";
import { Approvals, Audit, Feeds, Protected, Quarantine, Rules } from "./views/registers.js";
import { Care } from "./views/care.js";

const STAFF = ["viewer", "analyst", "supervisor", "liaison", "auditor", "admin"];
const VIEWS = [
  { path: "today", key: "t", view: Today, roles: STAFF },
  { path: "cases", key: "c", view: Cases, roles: STAFF },
  { path: "sender", key: "s", view: Sender, roles: STAFF },
  { path: "approvals", key: "a", view: Approvals, roles: STAFF },
  { path: "orders", key: "o", view: Orders, roles: STAFF },
  { path: "protected", key: "p", view: Protected, roles: STAFF },
  { path: "feeds", key: "f", view: Feeds, roles: STAFF },
  { path: "rules", key: "r", view: Rules, roles: STAFF },
  { path: "quarantine", key: "q", view: Quarantine, roles: STAFF },
  { path: "audit", key: "l", view: Audit, roles: ["auditor", "admin"] },
  { path: "care", key: "k", view: Care, roles: ["care", "supervisor", "admin"] },
];
const here = () => location.hash.replace(/^#\/?/, "");
export const go = (path) => (location.hash = `#/${path}`);

function Help({ onClose }) {
  const [on, set] = useState(enabled());
  return html`<${Dialog} title=${t("help.title")} onClose=${onClose}>
    <dl class="keys">${listed().map((k) => html`<div><dt><kbd>${k.key}</kbd></dt><dd>${t(k.label)}</dd></div>`)}</dl>
    <label class="check"><input type="checkbox" checked=${on} onChange=${(e) => (setEnabled(e.target.checked), set(e.target.checked))} /> ${t("help.enabled")}</label>
  <//>`;
}

function useTheme() {
  const [theme, set] = useState(localStorage.getItem("khien.theme") || "auto");
  useEffect(() => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    localStorage.setItem("khien.theme", theme);
  }, [theme]);
  return [theme, () => set({ auto: "light", light: "dark", dark: "auto" }[theme])];
}

function Shell({ me, onLeave, relang }) {
  const [at, setAt] = useState(here());
  const [help, setHelp] = useState(false);
  const [theme, turnTheme] = useTheme();
  const live = useLive();
  const views = VIEWS.filter((v) => v.roles.includes(me.role));
  useEffect(() => {
    const moved = () => {
      setAt(here());
      const main = document.querySelector("main");
      if (main) main.focus({ preventScroll: true });
      scrollTo(0, 0);
    };
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  useKeys(
    {
      "?": ["key.help", () => setHelp(true)],
      "/": ["key.search", () => document.querySelector("[data-search]")?.focus()],
      ...Object.fromEntries(views.map((v) => [`g ${v.key}`, [`nav.${v.path}`, () => go(v.path)]])),
    },
    [me.role],
  );
  const leave = async () => {
    await logOut().catch(() => {});
    onLeave();
  };
  const [path, ...rest] = at.split("/");
  const inCase = path === "case" && STAFF.includes(me.role);
  const view = inCase ? { path: "case", view: Case } : views.find((v) => v.path === path) || views[0];
  useEffect(() => {
    document.title = `${t(`nav.${view.path}`)} · Khiên`;
  });
  return html`
    <a class="skip" href="#main" onClick=${(e) => (e.preventDefault(), document.querySelector("main").focus())}>${t("skip")}</a>
    <header>
      <a class="brand" href="#/${views[0].path}"><img src="/console/icon.svg" alt="" width="24" height="24" /> Khiên</a>
      <nav aria-label=${t("nav")}>${views.map(
        (v) => html`<a href="#/${v.path}" aria-current=${view.path === v.path || (inCase && v.path === "cases") ? "page" : null}>${t(`nav.${v.path}`)}</a>`,
      )}</nav>
      <div class="who">
        <span class=${`live ${live.on ? "on" : ""}`} role="status">${t(live.on ? "live.on" : "live.off")}</span>
        <button onClick=${() => relang(language() === "vi" ? "en" : "vi")} lang=${language() === "vi" ? "en" : "vi"}>${language() === "vi" ? "English" : "Tiếng Việt"}</button>
        <button onClick=${turnTheme}>${t(`theme.${theme}`)}</button>
        <button onClick=${() => setHelp(true)} aria-label=${t("key.help")}>?</button>
        <span class="me">${me.name} · ${word("role", me.role)}</span>
        ${me.person && html`<button onClick=${leave}>${t("logout")}</button>`}
      </div>
    </header>
    <main id="main" tabindex="-1"><${view.view} me=${me} tick=${live.tick} now=${live.now} rest=${rest} key=${inCase ? rest[0] : view.path} /></main>
    ${help && html`<${Help} onClose=${() => setHelp(false)} />`}
  `;
}

function App() {
  const [me, setMe] = useState(undefined);
  const [, again] = useState(0);
  const relang = (lang) => {
    setLanguage(lang);
    again((n) => n + 1);
  };
  useEffect(() => {
    onSessionEnd(() => setMe(null));
    whoAmI().then(setMe, () => setMe(null));
    addEventListener("keydown", handleKey);
  }, []);
  if (me === undefined) return html`<main aria-busy="true"></main>`;
  if (!me) return html`<${LogIn} onDone=${setMe} relang=${relang} />`;
  return html`<${Shell} key=${language()} me=${me} onLeave=${() => setMe(null)} relang=${relang} />`;
}

render(html`<${App} />`, document.getElementById("app"));
