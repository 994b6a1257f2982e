// Pieces that several views are made of.
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { read, Problem } from "./api.js";
import { moment, span, t, word } from "./i18n.js";
import { pieces } from "./text.js";

// What a path answers, renewed when `tick` changes. {data, error, reload}
export function useRead(path, tick = 0) {
  const [state, set] = useState({ data: null, error: null, path: null });
  const load = (background) => {
    if (!path) return;
    read(path, { background }).then(
      (data) => set({ data, error: null, path }),
      (error) => set((was) => ({ data: was.path === path ? was.data : null, error, path })),
    );
  };
  const first = useRef(true);
  useEffect(() => {
    load(!first.current && state.path === path);
    first.current = false;
  }, [path, tick]);
  return { data: state.path === path ? state.data : null, error: state.path === path ? state.error : null, reload: () => load(false) };
}

export function Problems({ error }) {
  if (!error) return null;
  const text = error instanceof Problem && error.status === 403 ? t("error.role") : error.status === 404 ? t("error.none") : error.message;
  return html`<p class="problem" role="alert">${text}</p>`;
}
export const Waiting = ({ of }) => (of.error ? html`<${Problems} error=${of.error} />` : html`<p class="quiet" role="status">${t("loading")}</p>`);

export function Tag({ group, value, tone }) {
  return html`<span class=${`tag ${tone || value || ""}`}>${word(group, value)}</span>`;
}

export function Clock({ of, now }) {
  if (of.clock !== "running" && of.clock !== "overdue") return html`<span class="quiet">${word("clock", of.clock)}</span>`;
  const left = Date.parse(of.due_at) - now;
  const tone = left < 0 ? "late" : left < 1800e3 ? "soon" : "";
  return html`<span class=${`clock ${tone}`} title=${moment(of.due_at)}>${left < 0 ? t("clock.over", { span: span(left) }) : t("clock.left", { span: span(left) })}</span>`;
}

// Weighted terms as bars on both sides of nothing, with their figures as text.
export function Terms({ terms, label }) {
  const most = Math.max(0.1, ...terms.map((x) => Math.abs(x.weight)));
  if (!terms.length) return html`<p class="quiet">${t("terms.none")}</p>`;
  return html`<table class="terms" aria-label=${label}>
    <thead class="sr"><tr><th scope="col">${t("terms.name")}</th><th scope="col">${t("terms.weight")}</th><th scope="col">${t("terms.bar")}</th></tr></thead>
    <tbody>${terms.map(
      (x) => html`<tr>
        <th scope="row">${x.name}</th>
        <td class="num">${x.weight > 0 ? "+" : ""}${x.weight.toFixed(2)}</td>
        <td aria-hidden="true"><div class="track"><div class=${x.weight < 0 ? "fill minus" : "fill"} style=${{ width: `${(50 * Math.abs(x.weight)) / most}%` }}></div></div></td>
      </tr>`,
    )}</tbody>
  </table>`;
}

export function Marked({ content, terms }) {
  return html`<p class="content" lang="vi">${pieces(content, terms).map((p) => (p.names.length ? html`<mark title=${p.names.join(", ")}>${p.text}</mark>` : p.text))}</p>`;
}

// A question with fields; Esc and the button leave it, Ctrl+Enter sends. onSubmit may throw a Problem, which is shown.
export function Dialog({ title, submit, danger, onSubmit, onClose, children }) {
  const box = useRef(null);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    const back = document.activeElement;
    box.current.showModal();
    const field = box.current.querySelector("[autofocus], textarea, input, select");
    if (field) field.focus();
    return () => back && back.isConnected && back.focus();
  }, []);
  const send = async (e) => {
    e.preventDefault();
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      await onSubmit(Object.fromEntries(new FormData(box.current.querySelector("form"))));
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  };
  const keys = (e) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) box.current.querySelector("form").requestSubmit();
    e.stopPropagation();
  };
  return html`<dialog ref=${box} aria-labelledby="dialog-title" onClose=${onClose} onKeyDown=${keys}>
    <form onSubmit=${send}>
      <h2 id="dialog-title">${title}</h2>
      ${children}
      <${Problems} error=${error} />
      <div class="row end">
        <button type="button" onClick=${() => box.current.close()}>${t("cancel")}</button>
        ${submit && html`<button type="submit" class=${danger ? "primary danger" : "primary"} disabled=${busy}>${submit} <kbd>Ctrl ⏎</kbd></button>`}
      </div>
    </form>
  </dialog>`;
}

export const Reason = ({ label }) => html`<label>${label || t("reason")}<textarea name="reason" required minlength="3" maxlength="1000" rows="3" autofocus></textarea></label>`;

// A plain table: columns [{title, cell, num}].
export function Table({ label, columns, rows, empty }) {
  if (!rows.length) return html`<p class="quiet">${empty || t("empty")}</p>`;
  return html`<div class="scroll" tabindex="0" role="group" aria-label=${label}><table>
    <thead><tr>${columns.map((c) => html`<th scope="col" class=${c.num ? "num" : ""}>${c.title}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${columns.map((c) => html`<td class=${c.num ? "num" : ""}>${c.cell(row)}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}

export function More({ next, onMore }) {
  return next ? html`<p><button onClick=${onMore}>${t("more")}</button></p>` : null;
}
