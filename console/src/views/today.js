// The morning's page: what waits and how late it is, reports by the hour, blocks and lifts, and whether switches hold the list.
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { language, moment, number, shortMoment, t, word } from "../i18n.js";
import { Problems, Table, Tag, useRead, Waiting } from "../ui.js";

function Chart({ label, hours, series }) {
  const box = useRef(null);
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  useEffect(() => {
    if (!hours.length) return;
    const width = () => Math.max(240, box.current.clientWidth);
    const axis = { stroke: style("--text"), grid: { stroke: style("--line"), width: 1 }, ticks: { stroke: style("--line") } };
    const time = new Intl.DateTimeFormat(language() === "vi" ? "vi-VN" : "en-GB", { timeZone: "Asia/Ho_Chi_Minh", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    const chart = new uPlot(
      {
        width: width(),
        height: 200,
        cursor: { y: false },
        legend: { live: true },
        scales: { y: { range: (_, low, high) => [0, Math.max(4, high)] } },
        axes: [{ ...axis, values: (_, at) => at.map((s) => time.format(new Date(s * 1000))) }, { ...axis, size: 44 }],
        series: [
          { label: t("today.hour"), value: (_, s) => (s == null ? "–" : time.format(new Date(s * 1000))) },
          ...series.map((s) => ({ label: s.label, stroke: style(s.color), fill: `${style(s.color)}33`, width: 2, dash: s.dash, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) })),
        ],
      },
      [[...hours, hours[hours.length - 1] + 3600], ...series.map((s) => [...s.data, s.data[s.data.length - 1]])], // the last step has its width too
      box.current,
    );
    const sized = new ResizeObserver(() => chart.setSize({ width: width(), height: 200 }));
    sized.observe(box.current);
    return () => {
      sized.disconnect();
      chart.destroy();
    };
  }, [JSON.stringify([hours, series])]);
  return html`<figure><div ref=${box} class="chart" role="img" aria-label=${label}></div></figure>`;
}

// Cases that wait, by class: how many, how many are late.
function queues(cases) {
  const out = {};
  for (const c of cases) {
    if (c.state === "closed") continue;
    const key = c.state === "enforced" || c.state === "appealed" || c.state === "held" ? c.state : c.class;
    const q = (out[key] ||= { cases: 0, overdue: 0, next: null });
    q.cases += c.cases;
    q.overdue += c.overdue;
    if (c.next_due_at && (!q.next || c.next_due_at < q.next)) q.next = c.next_due_at;
  }
  return ["scam", "nuisance", "held", "appealed", "enforced"].filter((k) => out[k]).map((k) => ({ queue: k, ...out[k] }));
}

export function Today({ tick }) {
  const stats = useRead("/v1/stats", tick);
  const surge = useRead("/v1/stats/hours", tick);
  const drift = useRead("/v1/feed/drift", tick);
  const it = stats.data;
  if (!it) return html`<h1>${t("nav.today")}</h1><${Waiting} of=${stats} />`;
  const hours = surge.data?.hours || [];
  const column = (name) => hours.map((h) => h[name]);
  const at = hours.map((h) => Date.parse(h.at) / 1000);
  const held = it.wishes.filter((w) => w.state === "held");
  return html`
    <h1>${t("nav.today")}</h1>
    <p class="row"><${Tag} group="mode" value=${it.control.mode} />${it.control.kill_switch && html` <span class="tag bad">${t("today.kill")}</span>`}
      <span class="quiet">${t("today.list", { release: it.list.release, count: number(it.list.count), at: shortMoment(it.list.at) })}</span></p>
    <${Problems} error=${stats.error} />
    <ul class="cards" aria-label=${t("today.queues")}>${queues(it.cases).map(
      (q) => html`<li><a href="#/cases/${q.queue}"><span>${t(`queue.${q.queue}`)}</span><strong>${number(q.cases)}</strong>
        <small class=${q.overdue ? "clock late" : "quiet"}>${q.overdue ? t("today.overdue", { n: number(q.overdue) }) : t("today.inTime")}</small></a></li>`,
    )}</ul>
    <div class="columns even">
      <section aria-labelledby="h-surge"><h2 id="h-surge">${t("today.surge")}</h2>
        ${surge.error ? html`<${Problems} error=${surge.error} />` : html`<${Chart} label=${t("today.surgeLabel", { n: number(column("scam").concat(column("nuisance")).reduce((a, b) => a + b, 0)) })} hours=${at} series=${[{ label: word("class", "scam"), data: column("scam"), color: "--scam" }, { label: word("class", "nuisance"), data: column("nuisance"), color: "--accent", dash: [6, 3] }]} />`}</section>
      <section aria-labelledby="h-blocks"><h2 id="h-blocks">${t("today.blocks")}</h2>
        ${surge.data && html`<${Chart} label=${t("today.blocksLabel", { added: number(column("added").reduce((a, b) => a + b, 0)), removed: number(column("removed").reduce((a, b) => a + b, 0)) })} hours=${at} series=${[{ label: t("today.added"), data: column("added"), color: "--scam" }, { label: t("today.removed"), data: column("removed"), color: "--accent", dash: [6, 3] }]} />`}</section>
      <section aria-labelledby="h-held"><h2 id="h-held">${t("today.held")}</h2>
        <${Table} label=${t("today.held")} rows=${held} empty=${t("today.noneHeld")} columns=${[{ title: t("reason"), cell: (w) => word("held", w.reason) }, { title: t("today.senders"), num: true, cell: (w) => number(w.wishes) }]} /></section>
      <section aria-labelledby="h-feeds"><h2 id="h-feeds">${t("nav.feeds")}</h2><${Consumers} of=${drift} /></section>
      <section aria-labelledby="h-in"><h2 id="h-in">${t("today.records")}</h2>
        <${Table} label=${t("today.records")} rows=${Object.entries(it.totals)} columns=${[{ title: t("today.what"), cell: ([k]) => word("disposition", k) }, { title: t("today.records"), num: true, cell: ([, n]) => number(n) }]} /></section>
      <section aria-labelledby="h-back"><h2 id="h-back">${t("today.backlog")}</h2>
        <${Table} label=${t("today.backlog")} rows=${Object.entries(it.backlog)} columns=${[{ title: t("today.what"), cell: ([k]) => word("backlog", k) }, { title: t("today.waiting"), num: true, cell: ([, n]) => number(n) }]} /></section>
    </div>
    <p class="quiet">${t("today.asOf", { at: moment(it.at) })}</p>
  `;
}

export function Consumers({ of }) {
  if (!of.data) return html`<${Waiting} of=${of} />`;
  return html`<${Table} label=${t("nav.feeds")} rows=${of.data.consumers} empty=${t("feeds.none")} columns=${[
    { title: t("feeds.consumer"), cell: (c) => c.consumer },
    { title: t("state"), cell: (c) => html`<span class=${`tag ${c.alarm ? "bad" : "good"}`}>${word("feed", c.state)}</span>` },
    { title: t("feeds.behind"), num: true, cell: (c) => (c.behind == null ? "–" : number(c.behind)) },
    { title: t("feeds.age"), num: true, cell: (c) => (c.age_s == null ? "–" : t("span.seconds", { s: number(c.age_s) })) },
  ]} />`;
}
