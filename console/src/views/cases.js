// The queue: what waits, by its clock. j and k move, Enter opens, x picks for a decision about many.
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { query, read, write } from "../api.js";
import { number, shortMoment, t, word } from "../i18n.js";
import { useKeys } from "../keys.js";
import { senderText } from "../text.js";
import { Clock, Dialog, More, Problems, Reason, Tag, useRead, Waiting } from "../ui.js";

export const DECISIONS = { uphold: "u", bar: "b", throttle: "h", lift: "l", no_action: "n", refer: "r" };
const QUEUES = {
  scam: { state: "open,verifying,held,appealed", class: "scam" },
  nuisance: { state: "open,verifying,held,appealed", class: "nuisance" },
  held: { state: "held" },
  appealed: { state: "appealed" },
  enforced: { state: "enforced" },
  closed: { state: "closed" },
  all: {},
};
export const mayDecide = (me) => ["analyst", "supervisor", "admin"].includes(me.role);

const kept = { queue: "scam", text: "" }; // while the page lives, so that coming back from a case finds the list as it was

// A number fragment is looked for in senders, anything else in texts.
const search = (text) => (/^[+0-9 .]*$/.test(text) ? { sender: text.replace(/[^0-9]/g, "").replace(/^0/, "") } : { text });

export function Cases({ me, tick, now, rest }) {
  const [queue, setQueue] = useState(rest[0] && QUEUES[rest[0]] ? rest[0] : kept.queue);
  const [text, setText] = useState(kept.text);
  const [limit, setLimit] = useState(50);
  const [picked, setPicked] = useState(new Set());
  const [asking, setAsking] = useState(null);
  const [told, setTold] = useState("");
  const table = useRef(null);
  const path = query("/v1/cases", { ...QUEUES[queue], ...(text.trim().length > 1 ? search(text.trim()) : {}), limit });
  const list = useRead(path, tick);
  const items = list.data?.items || [];
  useEffect(() => Object.assign(kept, { queue, text }), [queue, text]);
  useEffect(() => setPicked(new Set()), [queue]);

  const links = () => [...(table.current?.querySelectorAll("tbody a.case") || [])];
  const move = (by) => {
    const all = links();
    const at = all.indexOf(document.activeElement);
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
    next?.focus();
  };
  const pick = (id) => {
    const next = new Set(picked);
    if (!next.delete(id)) next.add(id);
    setPicked(next);
  };
  const focused = () => document.activeElement?.dataset?.id;
  const ask = (action) => {
    const cases = picked.size ? [...picked] : focused() ? [focused()] : [];
    if (cases.length && mayDecide(me)) setAsking({ action, cases });
  };
  useKeys(
    {
      j: ["key.next", () => move(1)],
      k: ["key.previous", () => move(-1)],
      Enter: ["key.open", () => document.activeElement?.click?.()],
      x: ["key.pick", () => focused() && pick(focused())],
      X: ["key.pickAll", () => setPicked(new Set(picked.size ? [] : items.map((i) => i.id)))],
      ...Object.fromEntries(Object.entries(DECISIONS).filter(([a]) => a !== "refer").map(([a, key]) => [key, [`do.${a}`, () => ask(a)]])),
    },
    [items, picked, queue],
  );
  const decide = async ({ reason }) => {
    const got = await write("POST", "/v1/cases/bulk", { cases: asking.cases, action: asking.action, reason });
    const failed = (got.results || []).filter((r) => !r.done);
    const words = got.waits ? t("bulk.waits", { n: got.proposal }) : t("bulk.done", { done: asking.cases.length - failed.length, all: asking.cases.length });
    setTold([words, ...failed.map((r) => `${r.case}: ${r.why}`)].join(" "));
    setAsking(null);
    setPicked(new Set());
    list.reload();
  };
  return html`
    <h1>${t("nav.cases")}</h1>
    <div class="row tabs" role="group" aria-label=${t("cases.queue")}>${Object.keys(QUEUES).map(
      (q) => html`<button aria-pressed=${q === queue} onClick=${() => setQueue(q)}>${t(`queue.${q}`)}</button>`,
    )}</div>
    <div class="row">
      <label class="grow"><span class="sr">${t("cases.search")}</span><input data-search type="search" placeholder=${t("cases.search")} value=${text} onInput=${(e) => setText(e.target.value)} /></label>
      <a class="button" href=${query("/v1/cases.csv", { ...QUEUES[queue], ...(text.trim().length > 1 ? search(text.trim()) : {}) })} download>CSV</a>
    </div>
    ${mayDecide(me) &&
    html`<div class="row bulk" aria-live="polite">
      <span>${t("bulk.picked", { n: picked.size })}</span>
      ${picked.size > 0 && Object.entries(DECISIONS).filter(([a]) => a !== "refer").map(([a, key]) => html`<button onClick=${() => ask(a)}>${t(`do.${a}`)} <kbd>${key}</kbd></button>`)}
    </div>`}
    <p role="status">${told}</p>
    <${Problems} error=${list.error} />
    ${!list.data
      ? !list.error && html`<${Waiting} of=${list} />`
      : items.length === 0
        ? html`<p class="quiet">${t("cases.none")}</p>`
        : html`<div class="scroll"><table class="cases" ref=${table} aria-label=${t("nav.cases")}>
            <thead><tr>
              <th scope="col"><span class="sr">${t("cases.pick")}</span></th><th scope="col">${t("cases.sender")}</th><th scope="col">${t("cases.clock")}</th>
              <th scope="col">${t("cases.class")}</th><th scope="col">${t("cases.state")}</th><th scope="col" class="num">${t("cases.reports")}</th>
              <th scope="col" class="wide">${t("cases.first")}</th><th scope="col" class="wide">${t("cases.assignee")}</th>
            </tr></thead>
            <tbody>${items.map(
              (c) => html`<tr key=${c.id} class=${picked.has(c.id) ? "picked" : ""}>
                <td><input type="checkbox" checked=${picked.has(c.id)} onChange=${() => pick(c.id)} aria-label=${t("cases.pickOne", { sender: senderText(c.sender) || c.id })} data-id=${c.id} /></td>
                <th scope="row"><a class="case" data-id=${c.id} href="#/case/${c.id}">${senderText(c.sender) || t("sender.withheld")}</a> <small>${word("service", c.service)}</small></th>
                <td><${Clock} of=${c} now=${now} /></td>
                <td><${Tag} group="class" value=${c.class} /></td>
                <td><${Tag} group="state" value=${c.state} />${c.outcome && html` <small>${word("outcome", c.outcome)}</small>`}</td>
                <td class="num">${number(c.reports)}</td>
                <td class="wide">${shortMoment(c.first_at)}</td>
                <td class="wide">${c.assignee || ""}</td>
              </tr>`,
            )}</tbody>
          </table></div>
          <${More} next=${list.data.next && limit < 500} onMore=${() => setLimit(Math.min(500, limit + 100))} />`}
    ${asking &&
    html`<${Dialog} title=${t("bulk.title", { what: t(`do.${asking.action}`), n: asking.cases.length })} submit=${t(`do.${asking.action}`)} danger=${asking.action === "bar"} onSubmit=${decide} onClose=${() => setAsking(null)}><${Reason} /><//>`}
  `;
}
