// Texts of citizens, cut at the spans that rules matched. Offsets count bytes of UTF-8, as the classifier has them. Nothing here makes markup.

const encoder = new TextEncoder();
const decoder = new TextDecoder();

// [{text, names}]: names of the terms that matched the piece; pieces cover the whole text in order.
export function pieces(content, terms) {
  const bytes = encoder.encode(content);
  const spans = (terms || []).filter((s) => Number.isInteger(s.at) && s.len > 0 && s.at < bytes.length && s.weight > 0);
  const edges = new Set([0, bytes.length]);
  for (const s of spans) edges.add(s.at).add(Math.min(s.at + s.len, bytes.length));
  const cuts = [...edges].map((at) => boundary(bytes, at)).sort((a, b) => a - b);
  const out = [];
  for (let i = 0; i + 1 < cuts.length; i++) {
    if (cuts[i] === cuts[i + 1]) continue;
    const names = spans.filter((s) => boundary(bytes, s.at) <= cuts[i] && cuts[i + 1] <= boundary(bytes, Math.min(s.at + s.len, bytes.length))).map((s) => s.name);
    out.push({ text: decoder.decode(bytes.subarray(cuts[i], cuts[i + 1])), names });
  }
  return out;
}

// A cut never falls within a character.
function boundary(bytes, at) {
  while (at > 0 && at < bytes.length && (bytes[at] & 0xc0) === 0x80) at--;
  return at;
}

export const senderText = (s) => (!s ? "" : s.scope === "number" ? `+${s.value}` : s.value);
export const senderPath = (s) => encodeURIComponent(s.scope === "number" ? `+${s.value}` : s.value);
