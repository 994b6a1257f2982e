// Lists that are read more than worked on: what waits for a second person, protected senders, switches, quarantine, rules and policy, the audit log.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { query, write } from "../api.js";
import { moment, number, shortMoment, t, word } from "../i18n.js";
import { Dialog, More, Problems, Reason, Table, useRead, Waiting } from "../ui.js";
import { Consumers } from "./today.js";

function useList(path, tick, parameters = {}) {
  const [limit, setLimit] = useState(100);
  const list = useRead(query(path, { ...parameters, limit }), tick);
  return { ...list, more: html`<${More} next=${list.data?.next && limit < 500} onMore=${() => setLimit(Math.min(500, limit + 200))} />` };
}

export function Approvals({ me, tick }) {
  const list = useList("/v1/approvals", tick);
  const [asking, setAsking] = useState(null);
  const [told, setTold] = useState("");
  const may = ["supervisor", "admin"].includes(me.role);
  const mine = (p) => p.asked_by === `person:${me.name}` || p.asked_by === `token:${me.name}`;
  const send = async ({ reason }) => {
    await write("POST", `/v1/approvals/${asking.id}`, { agree: asking.agree, reason });
    setTold(t(asking.agree ? "approvals.agreed" : "approvals.refused"));
    setAsking(null);
    list.reload();
  };
  return html`<h1>${t("nav.approvals")}</h1><p class="quiet">${t("approvals.what")}</p><p role="status">${told}</p>
    ${!list.data ? html`<${Waiting} of=${list} />` : html`<${Table} label=${t("nav.approvals")} rows=${list.data.items} empty=${t("approvals.none")} columns=${[
      { title: t("cases.case"), cell: (p) => p.cases.map((c) => html`<a href="#/case/${c}">${c}</a> `) },
      { title: t("action"), cell: (p) => `${t(`do.${p.decision.action}`)} ${word("action", p.decision.detail)}` },
      { title: t("reason"), cell: (p) => p.decision.reason },
      { title: t("approvals.why"), cell: (p) => p.why },
      { title: t("by"), cell: (p) => p.asked_by },
      { title: t("until"), cell: (p) => shortMoment(p.ends_at) },
      { title: t("approvals.decide"), cell: (p) => (may && !mine(p) ? html`<span class="row"><button onClick=${() => setAsking({ id: p.id, agree: true })}>${t("approvals.agree")}</button><button onClick=${() => setAsking({ id: p.id, agree: false })}>${t("approvals.refuse")}</button></span>` : html`<span class="quiet">${t(mine(p) ? "approvals.own" : "approvals.role")}</span>`) },
    ]} />${list.more}`}
    ${asking && html`<${Dialog} title=${t(asking.agree ? "approvals.agree" : "approvals.refuse")} submit=${t(asking.agree ? "approvals.agree" : "approvals.refuse")} onSubmit=${send} onClose=${() => setAsking(null)}><${Reason} /><//>`}`;
}

export function Protected({ tick }) {
  const list = useList("/v1/protected", tick);
  return html`<h1>${t("nav.protected")}</h1><p class="quiet">${t("protected.what")}</p>
    ${!list.data ? html`<${Waiting} of=${list} />` : html`<${Table} label=${t("nav.protected")} rows=${list.data.items} columns=${[
      { title: t("cases.sender"), cell: (p) => (p.low === p.high ? p.low : `${p.low} – ${p.high}`) },
      { title: t("service"), cell: (p) => (p.service ? word("service", p.service) : t("both")) },
      { title: t("protected.owner"), cell: (p) => p.owner },
      { title: t("reason"), cell: (p) => p.reason },
      { title: t("until"), cell: (p) => (p.until ? shortMoment(p.until) : "–") },
    ]} />${list.more}`}`;
}

export function Feeds({ tick }) {
  const drift = useRead("/v1/feed/drift", tick);
  const stats = useRead("/v1/stats", tick);
  return html`<h1>${t("nav.feeds")}</h1><p class="quiet">${t("feeds.what")}</p>
    ${stats.data && html`<p>${t("today.list", { release: stats.data.list.release, count: number(stats.data.list.count), at: moment(stats.data.list.at) })}<br /><code class="break">${stats.data.list.digest}</code></p>`}
    <${Consumers} of=${drift} />
    ${(drift.data?.consumers || []).filter((c) => c.alarm && Object.keys(c.findings || {}).length).map((c) => html`<section><h2>${c.consumer}</h2><pre>${JSON.stringify(c.findings, null, 1)}</pre></section>`)}`;
}

export function Quarantine({ me, tick }) {
  const list = useList("/v1/quarantine", tick);
  const [asking, setAsking] = useState(null);
  const [told, setTold] = useState("");
  const may = ["supervisor", "admin"].includes(me.role);
  const send = async ({ reason }) => {
    const q = asking.of;
    const got = await write("POST", `/v1/quarantine/${[q.source, q.topic, q.partition, q.offset].map(encodeURIComponent).join("/")}`, { action: asking.action, why: reason }, { once: false });
    setTold(`${q.topic}/${q.partition}/${q.offset}: ${word("quarantineState", got.state || "retried")}`);
    setAsking(null);
    list.reload();
  };
  return html`<h1>${t("nav.quarantine")}</h1><p class="quiet">${t("quarantine.what")}</p><p role="status">${told}</p>
    ${!list.data ? html`<${Waiting} of=${list} />` : html`<${Table} label=${t("nav.quarantine")} rows=${list.data.items} columns=${[
      { title: t("at"), cell: (q) => shortMoment(q.at) },
      { title: t("reason"), cell: (q) => word("quarantined", q.reason) },
      { title: t("quarantine.detail"), cell: (q) => q.detail },
      { title: t("quarantine.record"), cell: (q) => `${q.topic}/${q.partition}/${q.offset}` },
      { title: t("quarantine.size"), num: true, cell: (q) => number(q.size) },
      { title: t("state"), cell: (q) => html`${word("quarantineState", q.state)} ${may && q.state === "open" && html`<span class="row"><button onClick=${() => setAsking({ of: q, action: "retry" })}>${t("quarantine.retry")}</button><button onClick=${() => setAsking({ of: q, action: "drop" })}>${t("quarantine.drop")}</button></span>`}` },
    ]} />${list.more}`}
    ${asking && html`<${Dialog} title=${t(asking.action === "retry" ? "quarantine.retry" : "quarantine.drop")} submit=${t(asking.action === "retry" ? "quarantine.retry" : "quarantine.drop")} onSubmit=${send} onClose=${() => setAsking(null)}><${Reason} /><//>`}`;
}

function Artifact({ path, title, tick }) {
  const one = useRead(path, tick);
  if (!one.data) return html`<h2>${title}</h2><${Waiting} of=${one} />`;
  const it = one.data;
  return html`<section><h2>${title}</h2>
    <p>${t("rules.version", { version: it.version, at: moment(it.activated_at), by: it.activated_by })}<br /><code class="break">${it.hash}</code></p>
    ${Object.entries(it.files || {}).map(([name, text]) => html`<details><summary>${name}</summary><pre tabindex="0">${text}</pre></details>`)}</section>`;
}

export function Rules({ tick }) {
  return html`<h1>${t("nav.rules")}</h1><${Artifact} path="/v1/rules" title=${t("rules.rules")} tick=${tick} /><${Artifact} path="/v1/policy" title=${t("rules.policy")} tick=${tick} />`;
}

export function Audit({ tick }) {
  const [actor, setActor] = useState("");
  const [what, setWhat] = useState("");
  const list = useList("/v1/audit", tick, { actor, what });
  return html`<h1>${t("nav.audit")}</h1>
    <div class="row"><label class="grow">${t("by")}<input data-search value=${actor} onChange=${(e) => setActor(e.target.value.trim())} placeholder="person:lan" /></label><label class="grow">${t("audit.what")}<input value=${what} onChange=${(e) => setWhat(e.target.value.trim())} placeholder="login" /></label></div>
    <${Problems} error=${list.error} />
    ${!list.data ? !list.error && html`<${Waiting} of=${list} />` : html`<${Table} label=${t("nav.audit")} rows=${list.data.items} columns=${[
      { title: t("audit.link"), num: true, cell: (a) => a.link ?? t("audit.pending") },
      { title: t("at"), cell: (a) => shortMoment(a.at) },
      { title: t("by"), cell: (a) => a.actor },
      { title: t("audit.what"), cell: (a) => a.what },
      { title: t("audit.lines"), cell: (a) => html`<pre class="lines">${a.lines.length > 400 ? `${a.lines.slice(0, 400)}…` : a.lines}</pre>` },
    ]} />${list.more}`}`;
}
