// The API as the console uses it: JSON in and out, the session's CSRF token on writes, problem+json as one kind of error.

let csrf = "";
let ended = () => {};
export const onSessionEnd = (f) => (ended = f);

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `HTTP ${status}`);
    this.status = status;
    this.body = body;
  }
}

async function answer(got) {
  const type = got.headers.get("Content-Type") || "";
  const body = type.includes("json") ? await got.json() : await got.text();
  if (got.ok) return body;
  if (got.status === 401) ended();
  const problem = new Problem(got.status, typeof body === "object" ? body : { detail: body });
  problem.challenge = got.headers.get("WWW-Authenticate");
  throw problem;
}

// background: nobody asked for it just now, so an idle session is to end all the same.
export async function read(path, { background = false } = {}) {
  return answer(await fetch(path, { headers: background ? { "X-Khien-Background": "1" } : {}, cache: "no-store" }));
}

// version: of the thing as it was seen; a write on a newer one is refused with 412.
export async function write(method, path, body, { version, once = true, type = "application/json" } = {}) {
  const headers = { "X-Csrf-Token": csrf };
  if (body !== undefined) headers["Content-Type"] = type;
  if (version !== undefined) headers["If-Match"] = `"${version}"`;
  if (once) headers["Idempotency-Key"] = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2) + Date.now();
  const sent = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
  return answer(await fetch(path, { method, headers, body: sent }));
}

export async function whoAmI() {
  const me = await read("/v1/me");
  csrf = me.csrf || "";
  return me;
}

export async function logIn(name, password, code) {
  const body = { name, password, ...(code ? { code } : {}) };
  const got = await fetch("/v1/session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!got.ok) {
    const problem = new Problem(got.status, await got.json().catch(() => ({})));
    problem.challenge = got.headers.get("WWW-Authenticate");
    throw problem;
  }
  const me = await got.json();
  csrf = me.csrf;
  return me;
}

export async function logOut() {
  await write("DELETE", "/v1/session", undefined, { once: false });
  csrf = "";
}

export const query = (path, parameters) => {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined && value !== null && value !== "") q.set(name, value);
  const s = q.toString();
  return s ? `${path}?${s}` : path;
};
