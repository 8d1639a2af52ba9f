// Calls of the HTTP API. The key or token stays in this tab; nothing of it is in an address.

const KEY = "tidegate-key";

/** Is told by every 401, whatever asked: `detail` is what the app says of the key, token or session. */
export const refusals = new EventTarget();

/** What the API said no to: `status` is HTTP's, 0 when there was no answer. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const key = () => sessionStorage.getItem(KEY) ?? "";

export function setKey(text) {
  if (text) sessionStorage.setItem(KEY, text);
  else sessionStorage.removeItem(KEY);
}

/** The header that shows it: a token of Entra has dots, a key has none. */
export const shown = (text) => (text.includes(".") ? { Authorization: `Bearer ${text}` } : text ? { "X-Api-Key": text } : {});

/** JSON of `/api<path>`; a body makes it a POST. Throws Refusal. */
export async function call(path, body) {
  const headers = { Accept: "application/json", ...shown(key()) };
  const options = { headers, cache: "no-cache", redirect: "manual", credentials: "same-origin" };
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(new URL(`.${path}`, document.baseURI), options);
  } catch {
    throw new Refusal(0, "The app does not answer.");
  }
  const text = await answer.text();
  if (answer.ok) return parsed(text);
  const problem = parsed(text);
  const status = answer.type === "opaqueredirect" ? 401 : answer.status;
  const refusal = new Refusal(status, problem?.detail || problem?.title || `The app answered ${status}.`);
  if (status === 401) refusals.dispatchEvent(new CustomEvent("refused", { detail: refusal.message }));
  throw refusal;
}

/** Whether the app has a sign-in for browsers: App Service's, which not every place has. */
export async function hasSignIn() {
  try {
    return (await fetch("/.auth/me", { cache: "no-store", redirect: "manual" })).status !== 404;
  } catch {
    return false;
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export const path = (...segments) => `/${segments.map(encodeURIComponent).join("/")}`;
