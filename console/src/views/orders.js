// Orders of the authority: what came, how far it is carried out.
import { html } from "htm/preact";
import { moment, number, shortMoment, t, word } from "../i18n.js";
import { Table, useRead, Waiting } from "../ui.js";

export function Orders({ tick }) {
  const list = useRead("/v1/orders?limit=200", tick);
  return html`<h1>${t("nav.orders")}</h1><p class="quiet">${t("orders.what")}</p>
    ${!list.data ? html`<${Waiting} of=${list} />` : html`<${Table} label=${t("nav.orders")} rows=${list.data.items} columns=${[
      { title: t("orders.no"), cell: (o) => o.document_no },
      { title: t("orders.issuer"), cell: (o) => o.issuer },
      { title: t("action"), cell: (o) => word("action", o.action) },
      { title: t("state"), cell: (o) => html`${word("order", o.state)}${o.breach && html` <span class="tag bad">${t("orders.breach")}</span>`}` },
      { title: t("orders.items"), num: true, cell: (o) => number(o.items) },
      { title: t("orders.received"), cell: (o) => shortMoment(o.received_at) },
      { title: t("orders.deadline"), cell: (o) => (o.deadline ? moment(o.deadline) : "–") },
    ]} />`}`;
}
