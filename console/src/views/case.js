// One case: what is known, why, what was done, and what can be decided now.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { query, write } from "../api.js";
import { moment, number, shortMoment, t, word } from "../i18n.js";
import { useKeys } from "../keys.js";
import { senderPath, senderText } from "../text.js";
import { Clock, Dialog, Marked, More, Problems, Reason, Table, Tag, Terms, useRead, Waiting } from "../ui.js";
import { DECISIONS, mayDecide } from "./cases.js";

// What the life of a case permits in each state; the server decides, this only leaves out what it would refuse.
const POSSIBLE = {
  open: ["uphold", "bar", "throttle", "lift", "no_action", "refer"],
  verifying: ["uphold", "bar", "throttle", "lift", "no_action", "refer"],
  held: ["uphold", "bar", "throttle", "lift", "no_action", "refer"],
  enforced: ["uphold", "bar", "throttle", "lift", "refer", "appeal"],
  appealed: ["grant", "reject"],
  closed: ["reopen"],
};
const KEYS = { ...DECISIONS, appeal: "p", grant: "v", reject: "e", reopen: "o" };

function allowed(me, state) {
  const supervisor = ["supervisor", "admin"].includes(me.role);
  return (POSSIBLE[state] || []).filter((a) => (a === "grant" || a === "reject" ? supervisor : a === "refer" ? mayDecide(me) || me.role === "liaison" : mayDecide(me)));
}

function Ask({ of, action, onDone, onClose }) {
  const send = async ({ reason, detail, to, until }) => {
    const base = `/v1/cases/${of.id}`;
    const version = of.version;
    if (action === "appeal") return onDone(await write("POST", `${base}/appeal`, { grounds: reason }, { version }));
    if (action === "grant" || action === "reject") return onDone(await write("POST", `${base}/appeal/decision`, { decision: action, reason }, { version }));
    const body = { action, reason };
    if (detail) body.detail = detail;
    if (to) body.to = to;
    if (until === "open") body.until = null;
    else if (until) body.until = new Date(Date.now() + Number(until) * 86400e3).toISOString();
    return onDone(await write("POST", `${base}/actions`, body, { version }));
  };
  const own = of.sender?.attribution === "own";
  return html`<${Dialog} title=${`${t(`do.${action}`)}: ${senderText(of.sender)}`} submit=${t(`do.${action}`)} danger=${action === "bar"} onSubmit=${send} onClose=${onClose}>
    <${Reason} />
    ${action === "bar" &&
    html`<label>${t("detail")}<select name="detail">
        <option value="">${t("detail.default")}</option>
        ${(own ? ["bar_out", "bar_both", "recall"] : ["bar_in", "bar_both"]).map((d) => html`<option value=${d}>${word("action", d)}</option>`)}
      </select></label>`}
    ${["bar", "throttle", "uphold"].includes(action) &&
    html`<label>${t("term")}<select name="until">
        <option value="">${t("term.default")}</option>
        <option value="1">${t("term.days", { n: 1 })}</option><option value="7">${t("term.days", { n: 7 })}</option><option value="30">${t("term.days", { n: 30 })}</option>
        <option value="180">${t("term.days", { n: 180 })}</option><option value="open">${t("term.open")}</option>
      </select></label>`}
    ${action === "refer" && html`<label>${t("refer.to")}<input name="to" required maxlength="100" value=${of.sender?.carrier || ""} /></label>`}
  <//>`;
}

function Reports({ id, me, tick }) {
  const [limit, setLimit] = useState(20);
  const [unmask, setUnmask] = useState(null);
  const [asking, setAsking] = useState(false);
  const list = useRead(query(`/v1/cases/${id}/reports`, { limit, ...(unmask ? { unmask: "true", reason: unmask } : {}) }), unmask ? 0 : tick);
  const mayUnmask = ["supervisor", "admin"].includes(me.role);
  if (!list.data) return html`<${Waiting} of=${list} />`;
  return html`
    <p class="row">
      <span class="quiet">${t(unmask ? "reports.unmasked" : "reports.masked")}</span>
      ${mayUnmask && (unmask ? html`<button onClick=${() => setUnmask(null)}>${t("reports.mask")}</button>` : html`<button onClick=${() => setAsking(true)}>${t("reports.unmask")}</button>`)}
    </p>
    <ol class="reports">${list.data.items.map(
      (r) => html`<li key=${r.report_id}>
        <p class="row quiet"><${Tag} group="kind" value=${r.kind} /> <span>${moment(r.received_at)}</span> <span>${word("channel", r.channel)}</span> <span>${t("reports.matched", { value: word("matched", r.matched) })}</span> <span>${t("reports.weight", { n: r.weight })}</span>${r.category && html` <span>${r.category}</span>`}</p>
        <${Marked} content=${r.content} terms=${r.terms} />
        ${r.terms.length > 0 && html`<details><summary>${t("reports.why", { n: r.terms.length, score: r.text_score.toFixed(2) })}</summary><${Terms} terms=${r.terms} label=${t("terms.text")} /></details>`}
      </li>`,
    )}</ol>
    <${More} next=${list.data.next && limit < 500} onMore=${() => setLimit(Math.min(500, limit + 50))} />
    ${asking && html`<${Dialog} title=${t("reports.unmask")} submit=${t("reports.unmask")} onSubmit=${({ reason }) => (setUnmask(reason), setAsking(false))} onClose=${() => setAsking(false)}><${Reason} label=${t("reports.unmaskWhy")} /><//>`}
  `;
}

function Timeline({ events, of }) {
  const rows = [
    { at: of.first_at, text: t("timeline.first") },
    ...of.actions.map((a) => ({ at: a.decided_at, text: `${word("action", a.action)} · ${word("wish", a.state)}`, who: a.origin, why: word("held", a.reason) })),
    ...of.appeals.map((a) => ({ at: a.opened_at, text: t("timeline.appeal"), who: a.opened_by, why: a.grounds })),
    ...events.map((e) => ({ at: e.at, text: `${word("event", e.event)}${e.to !== e.from ? ` → ${word("state", e.to)}` : ""}`, who: e.actor, why: e.reason })),
  ].sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
  return html`<ol class="timeline">${rows.map((r) => html`<li><time datetime=${r.at}>${shortMoment(r.at)}</time> <div><strong>${r.text}</strong>${r.who && html` <small>${r.who}</small>`}${r.why && html`<p>${r.why}</p>`}</div></li>`)}</ol>`;
}

export function Case({ me, tick, now, rest }) {
  const id = rest[0];
  const [asking, setAsking] = useState(null);
  const [told, setTold] = useState("");
  const [own, setOwn] = useState(0);
  const at = tick + own * 1e6;
  const one = useRead(`/v1/cases/${id}`, at);
  const events = useRead(`/v1/cases/${id}/events?limit=200`, at);
  const notes = useRead(`/v1/cases/${id}/notes?limit=200`, at);
  const of = one.data;
  const can = of ? allowed(me, of.state) : [];
  const worker = mayDecide(me) || me.role === "liaison";
  const done = (got) => {
    setTold(got?.waits ? t("bulk.waits", { n: got.proposal }) : t("case.done"));
    setAsking(null);
    setOwn((n) => n + 1);
  };
  const assign = async () => {
    try {
      done(await write("POST", `/v1/cases/${id}/assignment`, { assignee: of.assignee === me.name ? "" : me.name }, { version: of.version }));
    } catch (problem) {
      setTold(problem.message);
    }
  };
  useKeys(
    {
      ...Object.fromEntries(can.map((a) => [KEYS[a], [`do.${a}`, () => setAsking(a)]])),
      ...(worker ? { m: ["do.note", () => setAsking("note")], a: ["do.assign", assign] } : {}),
      w: ["case.why", () => of?.sender && (location.hash = `#/sender/${senderPath(of.sender)}`)],
      Backspace: ["key.back", () => (location.hash = "#/cases")],
    },
    [of, me.role],
  );
  if (!of) return html`<h1>${t("nav.case")}</h1><${Waiting} of=${one} />`;
  return html`
    <p><a href="#/cases">← ${t("nav.cases")}</a></p>
    <h1>${senderText(of.sender) || t("sender.withheld")}</h1>
    <p class="row"><${Tag} group="class" value=${of.class} /> <${Tag} group="state" value=${of.state} />${of.outcome && html` <span>${word("outcome", of.outcome)}</span>`} <${Clock} of=${of} now=${now} />
      <span>${word("service", of.service)}</span> <span>${of.sender && word("attribution", of.sender.attribution)} ${of.sender?.carrier || ""}</span> <code>${of.id}</code></p>
    <div class="row actions" role="group" aria-label=${t("case.decide")}>
      ${can.map((a) => html`<button onClick=${() => setAsking(a)} class=${a === "uphold" || a === "bar" ? "danger" : ""}>${t(`do.${a}`)} <kbd>${KEYS[a]}</kbd></button>`)}
      ${worker && html`<button onClick=${assign}>${t(of.assignee === me.name ? "do.unassign" : "do.assign")} <kbd>a</kbd></button><button onClick=${() => setAsking("note")}>${t("do.note")} <kbd>m</kbd></button>`}
      ${of.sender && html`<a class="button" href="#/sender/${senderPath(of.sender)}">${t("case.why")} <kbd>w</kbd></a>`}
    </div>
    <p role="status">${told}</p>
    <${Problems} error=${one.error} />
    <div class="columns">
      <section aria-labelledby="h-reports"><h2 id="h-reports">${t("case.reports", { n: number(of.reports) })}</h2><${Reports} id=${id} me=${me} tick=${at} /></section>
      <div>
        <section aria-labelledby="h-score"><h2 id="h-score">${t("case.score")}${of.score && html` <span class="num">${of.score.score.toFixed(2)}</span>`}</h2>
          ${of.score ? html`<${Terms} terms=${of.score.terms} label=${t("case.score")} /><p class="quiet">${t("case.votes", { n: of.score.votes })}</p>` : html`<p class="quiet">${t("terms.none")}</p>`}</section>
        <section aria-labelledby="h-blocks"><h2 id="h-blocks">${t("case.blocks")}</h2>
          <${Table} label=${t("case.blocks")} rows=${of.blocks} empty=${t("case.noBlocks")} columns=${[
            { title: t("action"), cell: (b) => word("action", b.detail || b.action) },
            { title: t("state"), cell: (b) => html`${word("wish", b.state)} <small>${word("held", b.reason)}</small>` },
            { title: t("until"), cell: (b) => (b.until ? shortMoment(b.until) : t("term.open")) },
            { title: t("by"), cell: (b) => b.origin },
          ]} /></section>
        <section aria-labelledby="h-time"><h2 id="h-time">${t("timeline")}</h2><${Timeline} events=${events.data?.items || []} of=${of} /></section>
        <section aria-labelledby="h-notes"><h2 id="h-notes">${t("notes")}</h2>
          ${(notes.data?.items || []).length === 0 ? html`<p class="quiet">${t("notes.none")}</p>` : html`<ul class="notes">${notes.data.items.map((n) => html`<li><p>${n.text}</p><small>${n.author} · ${shortMoment(n.at)}</small></li>`)}</ul>`}</section>
      </div>
    </div>
    ${asking === "note"
      ? html`<${Dialog} title=${t("do.note")} submit=${t("save")} onClose=${() => setAsking(null)} onSubmit=${async ({ text }) => done(await write("POST", `/v1/cases/${id}/notes`, { text }))}><label>${t("note")}<textarea name="text" required maxlength="4000" rows="4" autofocus></textarea></label><//>`
      : asking && html`<${Ask} of=${of} action=${asking} onDone=${done} onClose=${() => setAsking(null)} />`}
  `;
}
