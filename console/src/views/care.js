// What care staff tell a subscriber: one exact number at a time, in a citizen's words; and an appeal for them.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { write } from "../api.js";
import { language, moment, t, word } from "../i18n.js";
import { senderText } from "../text.js";
import { Dialog, Reason, useRead, Waiting } from "../ui.js";

function Found({ text, tick }) {
  const one = useRead(`/v1/care/${encodeURIComponent(text)}`, tick);
  const [asking, setAsking] = useState(null);
  const it = one.data;
  if (!it) return html`<${Waiting} of=${one} />`;
  const send = async ({ reason }) => {
    await write("POST", `/v1/cases/${asking}/appeal`, { grounds: reason });
    setAsking(null);
    one.reload();
  };
  return html`<h2>${senderText(it.sender)}</h2>
    ${it.blocked.map(
      (b) => html`<section class="card"><p class="big">${b.text[language()]}</p>
        <p>${t("care.since", { service: word("service", b.service), since: moment(b.since), until: b.until ? moment(b.until) : t("term.open") })}</p>
        ${b.appeal && html`<p>${b.appeal.decision ? t("care.decided", { decision: word("appeal", b.appeal.decision) }) : t("care.appealed", { at: moment(b.appeal.opened_at), due: moment(b.appeal.due_at) })}</p>`}
        ${b.can_appeal && !(b.appeal && !b.appeal.decision) && html`<button class="primary" onClick=${() => setAsking(b.case)}>${t("do.appeal")}</button>`}</section>`,
    )}
    <p>${it.text[language()]}</p>
    ${asking && html`<${Dialog} title=${t("do.appeal")} submit=${t("do.appeal")} onSubmit=${send} onClose=${() => setAsking(null)}><${Reason} label=${t("care.grounds")} /><//>`}`;
}

export function Care({ tick, rest }) {
  const text = rest[0] ? decodeURIComponent(rest.join("/")) : "";
  const look = (e) => {
    e.preventDefault();
    const s = new FormData(e.target).get("sender").trim();
    if (s) location.hash = `#/care/${encodeURIComponent(s)}`;
  };
  return html`<h1>${t("nav.care")}</h1>
    <form class="row" onSubmit=${look} role="search"><label class="grow">${t("care.which")}<input data-search name="sender" inputmode="tel" required defaultValue=${text} key=${text} /></label><button class="primary" type="submit">${t("look")}</button></form>
    ${text && html`<${Found} text=${text} tick=${tick} key=${text} />`}`;
}
