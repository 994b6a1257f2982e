// A sender and why: from the block back to release, decision, score and reports, and the switches that hold it.
import { html } from "htm/preact";
import { moment, shortMoment, t, word } from "../i18n.js";
import { senderText } from "../text.js";
import { Table, Tag, Terms, useRead, Waiting } from "../ui.js";

function Found({ text, tick }) {
  const one = useRead(`/v1/senders/${encodeURIComponent(text)}/why`, tick);
  const it = one.data;
  if (!it) return html`<${Waiting} of=${one} />`;
  return html`
    <h2>${senderText(it.sender)}</h2>
    <p class="row"><span>${word("attribution", it.sender.attribution)}</span> <span>${it.sender.carrier || ""}</span> <span class="quiet">${it.sender.number_class || ""}</span>
      ${it.protected.length > 0 && html`<span class="tag good">${t("sender.protected")}</span>`} ${it.blocks.length === 0 && html`<span class="quiet">${t("sender.clean")}</span>`}</p>
    <section aria-labelledby="h-b"><h3 id="h-b">${t("case.blocks")}</h3>
      <${Table} label=${t("case.blocks")} rows=${it.blocks} empty=${t("case.noBlocks")} columns=${[
        { title: t("service"), cell: (b) => word("service", b.service) },
        { title: t("action"), cell: (b) => word("action", b.detail || b.action) },
        { title: t("cases.case"), cell: (b) => html`<a href="#/case/${b.case}">${b.case}</a>` },
        { title: t("release"), num: true, cell: (b) => b.release },
        { title: t("since"), cell: (b) => shortMoment(b.released_at) },
        { title: t("until"), cell: (b) => (b.until ? shortMoment(b.until) : t("term.open")) },
        { title: t("by"), cell: (b) => b.origin },
        { title: t("basis"), cell: (b) => b.basis },
      ]} /></section>
    <section aria-labelledby="h-c"><h3 id="h-c">${t("sender.consumers")}</h3>
      <${Table} label=${t("sender.consumers")} rows=${it.consumers} empty=${t("feeds.none")} columns=${[
        { title: t("feeds.consumer"), cell: (c) => c.consumer },
        { title: t("service"), cell: (c) => (c.service ? word("service", c.service) : t("both")) },
        { title: t("since"), cell: (c) => (c.since || c.at ? moment(c.since || c.at) : "–") },
      ]} /></section>
    ${it.held.length > 0 &&
    html`<section aria-labelledby="h-h"><h3 id="h-h">${t("today.held")}</h3><${Table} label=${t("today.held")} rows=${it.held} columns=${[
      { title: t("service"), cell: (h) => word("service", h.service) },
      { title: t("action"), cell: (h) => word("action", h.detail || h.action) },
      { title: t("reason"), cell: (h) => word("held", h.reason) },
    ]} /></section>`}
    <div class="columns even">${it.scores.map(
      (s) => html`<section><h3>${t("case.score")} · ${word("service", s.service)} <span class="num">${s.score.toFixed(2)}</span></h3><${Terms} terms=${s.terms} label=${t("case.score")} />
        <p class="quiet">${t("sender.versions", { rules: s.rules, policy: s.policy })}</p></section>`,
    )}</div>
    <section aria-labelledby="h-k"><h3 id="h-k">${t("nav.cases")}</h3>
      <${Table} label=${t("nav.cases")} rows=${it.cases} columns=${[
        { title: t("cases.case"), cell: (c) => html`<a href="#/case/${c.id}">${c.id}</a>` },
        { title: t("service"), cell: (c) => word("service", c.service) },
        { title: t("cases.class"), cell: (c) => html`<${Tag} group="class" value=${c.class} />` },
        { title: t("cases.state"), cell: (c) => html`<${Tag} group="state" value=${c.state} /> ${word("outcome", c.outcome)}` },
        { title: t("cases.reports"), num: true, cell: (c) => c.reports },
      ]} /></section>
    <section aria-labelledby="h-a"><h3 id="h-a">${t("sender.actions")}</h3>
      <${Table} label=${t("sender.actions")} rows=${it.actions} columns=${[
        { title: t("at"), cell: (a) => shortMoment(a.decided_at) },
        { title: t("action"), cell: (a) => word("action", a.action) },
        { title: t("state"), cell: (a) => word("wish", a.state) },
        { title: t("by"), cell: (a) => a.origin },
        { title: t("sender.reporters"), num: true, cell: (a) => `${a.reporters} (${a.matched})` },
        { title: t("reason"), cell: (a) => a.reason },
      ]} /></section>
  `;
}

export function Sender({ tick, rest }) {
  const text = rest[0] ? decodeURIComponent(rest.join("/")) : "";
  const look = (e) => {
    e.preventDefault();
    const s = new FormData(e.target).get("sender").trim();
    if (s) location.hash = `#/sender/${encodeURIComponent(s)}`;
  };
  return html`
    <h1>${t("nav.sender")}</h1>
    <form class="row" onSubmit=${look} role="search"><label class="grow"><span class="sr">${t("sender.which")}</span><input data-search name="sender" type="search" placeholder=${t("sender.which")} defaultValue=${text} key=${text} /></label><button class="primary" type="submit">${t("look")}</button></form>
    ${text && html`<${Found} text=${text} tick=${tick} key=${text} />`}
  `;
}
