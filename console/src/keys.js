// Shortcuts: what each does is registered by whoever shows it, and the help overlay lists what is registered. They can be switched off (WCAG 2.1.4).
import { useLayoutEffect } from "preact/hooks";

const table = new Map();
let prefix = "";
let prefixTimer = 0;
export const enabled = () => localStorage.getItem("khien.keys") !== "off";
export const setEnabled = (on) => localStorage.setItem("khien.keys", on ? "on" : "off");
export const listed = () => [...table.entries()].map(([key, v]) => ({ key, label: v[v.length - 1].label }));

// keys: {"j": ["label", function], "g t": …}; the newest registration of a key counts.
export function useKeys(keys, when = []) {
  // with the drawing itself: what is seen is what a key acts on
  useLayoutEffect(() => {
    const mine = Object.entries(keys).map(([key, [label, run]]) => [key, { label, run }]);
    for (const [key, v] of mine) table.set(key, [...(table.get(key) || []), v]);
    return () => {
      for (const [key, v] of mine) {
        const left = (table.get(key) || []).filter((x) => x !== v);
        if (left.length) table.set(key, left);
        else table.delete(key);
      }
    };
  }, when);
}

const typing = (e) => /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName) && e.target.type !== "checkbox";

export function handleKey(e) {
  if (!enabled() || e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
  if (typing(e)) {
    if (e.key === "Escape") {
      e.preventDefault(); // Chromium would empty a search field
      e.target.blur();
    }
    return;
  }
  const key = prefix ? `${prefix} ${e.key}` : e.key;
  prefix = "";
  clearTimeout(prefixTimer);
  if (key === "g") {
    prefix = "g";
    prefixTimer = setTimeout(() => (prefix = ""), 1500);
    return;
  }
  const found = table.get(key);
  if (!found) return;
  e.preventDefault();
  found[found.length - 1].run();
}
