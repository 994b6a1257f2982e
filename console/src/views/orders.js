// Orders of the authority: a file is looked at before it is taken in; what came, how far it is carried out, a receipt per number.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { write } from "../api.js";
import { moment, number, shortMoment, t, word } from "../i18n.js";
import { Dialog, Problems, Table, useRead, Waiting } from "../ui.js";

function TakeIn({ onDone, onClose }) {
  const [text, setText] = useState("");
  const [seen, setSeen] = useState(null);
  const [error, setError] = useState(null);
  const [valid, setValid] = useState(false);
  const choose = async (e) => {
    const file = e.target.files[0];
    setSeen(null);
    setError(null);
    if (!file) return;
    const content = await file.text();
    setText(content);
    try {
      setSeen(await write("POST", "/v1/orders?preview=true", content, { type: "text/csv", once: false }));
    } catch (problem) {
      setError(problem);
    }
  };
  const send = async () => {
    if (seen) onDone(await write("POST", `/v1/orders?accept_valid=${valid}`, text, { type: "text/csv", once: false }));
  };
  return html`<${Dialog} title=${t("orders.take")} submit=${seen && t("orders.take")} onSubmit=${send} onClose=${onClose}>
    <label>${t("orders.file")}<input type="file" accept=".csv,.json,text/csv,application/json" onChange=${choose} autofocus /></label>
    <${Problems} error=${error} />
    ${seen &&
    html`<p role="status"><strong>${seen.document_no}</strong> · ${seen.issuer} · ${word("action", seen.action)}<br />${t("orders.seen", { n: number(seen.items), invalid: number(seen.invalid), twice: number(seen.duplicates) })}</p>
      ${seen.faults.length > 0 &&
      html`<${Table} label=${t("orders.faults")} rows=${seen.faults} columns=${[
        { title: t("orders.line"), num: true, cell: (f) => f.line },
        { title: t("cases.sender"), cell: (f) => f.shown },
        { title: t("reason"), cell: (f) => f.fault || t("orders.same", { n: f.same_as }) },
      ]} />`}
      ${seen.invalid > 0 && html`<label class="check"><input type="checkbox" checked=${valid} onChange=${(e) => setValid(e.target.checked)} /> ${t("orders.acceptValid")}</label>`}`}
  <//>`;
}

// Receipts come as CSV, as the authority gets them; quotes are as RFC 4180 has them.
function cells(csv) {
  const rows = [[""]];
  let quoted = false;
  for (let i = 0; i < csv.length; i++) {
    const c = csv[i];
    const row = rows[rows.length - 1];
    if (c === '"' && quoted && csv[i + 1] === '"') row[row.length - 1] += csv[++i];
    else if (c === '"') quoted = !quoted;
    else if (c === "," && !quoted) row.push("");
    else if (c === "\n" && !quoted) rows.push([""]);
    else if (c !== "\r" || quoted) row[row.length - 1] += c;
  }
  return rows.filter((r) => r.length > 1);
}

function Receipts({ no, tick }) {
  const path = `/v1/orders/${encodeURIComponent(no)}`;
  const one = useRead(path, tick);
  if (one.data == null) return html`<${Waiting} of=${one} />`;
  const [, ...rows] = cells(one.data);
  return html`<section aria-labelledby="h-receipts"><h2 id="h-receipts">${t("orders.receipts", { no })}</h2><p><a class="button" href=${path} download=${`${no.replace(/[^\w.-]/g, "-")}.csv`}>CSV</a></p>
    <${Table} label=${t("orders.receipts", { no })} rows=${rows.slice(0, 500)} columns=${[
      { title: t("orders.line"), num: true, cell: (r) => r[0] },
      { title: t("cases.sender"), cell: (r) => r[1] },
      { title: t("state"), cell: (r) => word("receipt", r[2]) },
      { title: t("reason"), cell: (r) => r[3] },
      { title: t("at"), cell: (r) => (r[4] ? shortMoment(r[4]) : "–") },
    ]} /></section>`;
}

export function Orders({ me, tick, rest }) {
  const [own, setOwn] = useState(0);
  const [asking, setAsking] = useState(false);
  const [told, setTold] = useState("");
  const list = useRead("/v1/orders?limit=200", tick + own * 1e6);
  const open = rest[0] ? decodeURIComponent(rest.join("/")) : "";
  const may = ["liaison", "supervisor", "admin"].includes(me.role);
  const done = (got) => {
    setTold(got.taken?.waits || got.waits ? t("orders.waits") : t("case.done"));
    setAsking(false);
    setOwn((n) => n + 1);
  };
  const approve = async (no) => {
    try {
      done(await write("POST", `/v1/orders/${encodeURIComponent(no)}`, { action: "approve" }, { once: false }));
    } catch (problem) {
      setTold(problem.message);
    }
  };
  return html`<h1>${t("nav.orders")}</h1><p class="quiet">${t("orders.what")}</p>
    ${may && html`<p><button class="primary" onClick=${() => setAsking(true)}>${t("orders.take")}</button></p>`}
    <p role="status">${told}</p>
    ${!list.data ? html`<${Waiting} of=${list} />` : html`<${Table} label=${t("nav.orders")} rows=${list.data.items} columns=${[
      { title: t("orders.no"), cell: (o) => html`<a href="#/orders/${encodeURIComponent(o.document_no)}">${o.document_no}</a>` },
      { title: t("orders.issuer"), cell: (o) => o.issuer },
      { title: t("action"), cell: (o) => word("action", o.action) },
      { title: t("state"), cell: (o) => html`${word("order", o.state)}${o.breach && html` <span class="tag bad">${t("orders.breach")}</span>`} ${o.state === "waits" && ["supervisor", "admin"].includes(me.role) && html`<button onClick=${() => approve(o.document_no)}>${t("approvals.agree")}</button>`}` },
      { title: t("orders.items"), num: true, cell: (o) => number(o.items) },
      { title: t("orders.received"), cell: (o) => shortMoment(o.received_at) },
      { title: t("orders.deadline"), cell: (o) => (o.deadline ? moment(o.deadline) : "–") },
    ]} />`}
    ${open && html`<${Receipts} no=${open} tick=${tick} key=${open} />`}
    ${asking && html`<${TakeIn} onDone=${done} onClose=${() => setAsking(false)} />`}`;
}
