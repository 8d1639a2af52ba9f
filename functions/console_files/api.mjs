// Calls of the HTTP API. The key stays in this tab; nothing of it is in an address.

const KEY = "tidegate-key";

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

/** JSON of `/api<path>`; a body makes it a POST. Throws Refusal. */
export async function call(path, body) {
  const headers = { Accept: "application/json" };
  if (key()) headers["X-Api-Key"] = key();
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
  if (answer.type === "opaqueredirect") throw new Refusal(401, "Sign in first.");
  const problem = parsed(text);
  throw new Refusal(answer.status, problem?.detail || problem?.title || `The app answered ${answer.status}.`);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export const path = (...segments) => `/${segments.map(encodeURIComponent).join("/")}`;
