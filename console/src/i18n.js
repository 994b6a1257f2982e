// Words in two languages, one catalogue each with the same keys (a test compares them). {name} in a text is replaced.
import vi from "./i18n/vi.json";
import en from "./i18n/en.json";

const catalogues = { vi, en };
const stored = localStorage.getItem("khien.lang");
let lang = stored || ((navigator.language || "vi").startsWith("en") ? "en" : "vi");
document.documentElement.lang = lang;

export const language = () => lang;
export function setLanguage(next) {
  lang = next;
  localStorage.setItem("khien.lang", next);
  document.documentElement.lang = next;
}
export function t(key, values) {
  const text = catalogues[lang][key] ?? key;
  return values ? text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "") : text;
}
// A word of the API (a state, a reason); what has no translation is shown as it is.
export const word = (group, value) => (value == null || value === "" ? "" : (catalogues[lang][`${group}.${value}`] ?? String(value)));

const zone = "Asia/Ho_Chi_Minh";
const format = (options) => (at) => (at ? new Intl.DateTimeFormat(lang === "vi" ? "vi-VN" : "en-GB", { timeZone: zone, ...options }).format(new Date(at)) : "");
export const moment = format({ day: "2-digit", month: "2-digit", year: "numeric", hour: "2-digit", minute: "2-digit" });
export const shortMoment = format({ day: "2-digit", month: "2-digit", hour: "2-digit", minute: "2-digit" });
export const number = (n) => new Intl.NumberFormat(lang === "vi" ? "vi-VN" : "en-GB").format(n);

// "2 h 05 min", in whole minutes; days above two of them.
export function span(ms) {
  const minutes = Math.floor(Math.abs(ms) / 60000);
  if (minutes >= 2880) return t("span.days", { n: number(Math.floor(minutes / 1440)) });
  if (minutes >= 60) return t("span.hours", { h: Math.floor(minutes / 60), m: String(minutes % 60).padStart(2, "0") });
  return t("span.minutes", { m: minutes });
}
