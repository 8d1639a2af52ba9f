// The console: what waits for somebody, what is under way, and the whole story of one thing.

import { html, render, useCallback, useEffect, useRef, useState } from "./preact.mjs";
import * as address from "./address.mjs";
import { call, hasSignIn, key, refusals, setKey } from "./api.mjs";
import { Story } from "./story.mjs";
import { ago, clock, mood, short, spoken } from "./words.mjs";

const BUSY_EVERY = 3000;
const QUIET_EVERY = 15000; // milliseconds

const VIEWS = { inbox: "Inbox", images: "Images", models: "Models", endpoints: "Endpoints", letters: "Dead letters" };

const LISTS = {
  images: {
    path: "/promotions",
    empty: "No image has come in",
    filters: { repository: "Repository", state: ["Testing", "Importing", "Promoted", "Rejected", "Errored", "Superseded", "Ignored"] },
    columns: [
      ["State", (row) => html`<${Badge} state=${row.state} />`],
      ["Image", (row) => html`${row.repository}${row.tags.length ? `:${row.tags.join(", ")}` : ""}`],
      ["Digest", (row) => html`<code>${short(row.digest)}</code>`],
      ["Changed", (row) => html`<time datetime=${row.updated} title=${row.updated}>${ago(row.updated)}</time>`],
      ["Reason", (row) => row.reason],
    ],
  },
  models: {
    path: "/deliveries",
    empty: "No model has been registered",
    filters: { model: "Model", state: ["AwaitingApproval", "RollingOut", "Delivered", "Rejected", "RolledBack", "Failed", "Errored", "Superseded", "Ignored"] },
    columns: [
      ["State", (row) => html`<${Badge} state=${row.state} />`],
      ["Model", (row) => html`${row.model}:${row.version}`],
      ["Stage", (row) => row.stage ?? ""],
      ["Changed", (row) => html`<time datetime=${row.updated} title=${row.updated}>${ago(row.updated)}</time>`],
      ["Reason", (row) => row.reason],
    ],
  },
  endpoints: {
    path: "/endpoints",
    empty: "Nothing was ever delivered to an endpoint",
    filters: { state: ["Serving", "Held", "PausedRollout", "WatchingTraffic", "Soaking", "RollingBack", "Empty"] },
    to: (row) => row.delivery && { view: "models", id: row.delivery },
    columns: [
      ["State", (row) => html`<${Badge} state=${row.state} />`],
      ["Endpoint", (row) => row.endpoint],
      ["Workspace", (row) => row.workspace],
      ["Serves", (row) => row.champion ?? "nobody"],
      ["Comes", (row) => row.challenger ?? ""],
      ["Changed", (row) => html`<time datetime=${row.updated} title=${row.updated}>${ago(row.updated)}</time>`],
      ["Reason", (row) => row.reason],
    ],
  },
  letters: {
    path: "/dead-letters",
    empty: "No event was left behind",
    filters: {},
    columns: [
      ["Id", (row) => html`<code>${short(row.id)}</code>`],
      ["Came", (row) => html`<time datetime=${row.at} title=${row.at}>${ago(row.at)}</time>`],
      ["Reason", (row) => row.reason],
    ],
  },
};

/** What somebody has to look at: title, list, state; ten of each are shown. */
const INBOX = [
  ["Waiting for an approval", "models", "AwaitingApproval"],
  ["Rollouts that are paused", "endpoints", "PausedRollout"],
  ["Endpoints that are held", "endpoints", "Held"],
  ["Models without an answer", "models", "Errored"],
  ["Models that failed", "models", "Failed"],
  ["Models that were rolled back", "models", "RolledBack"],
  ["Models that were rejected", "models", "Rejected"],
  ["Images without an answer", "images", "Errored"],
  ["Images that were rejected", "images", "Rejected"],
  ["Events nobody could take", "letters", ""],
];

function Badge({ state }) {
  return html`<span class="badge ${mood(state)}">${spoken(state)}</span>`;
}

/** What a path says, looked at again and again: at once after a change, rarely where nothing moves, never in a hidden tab. */
function useLook(wanted, isBusy) {
  const [seen, setSeen] = useState({ value: undefined, error: undefined, at: 0, of: "" });
  const round = useRef(0);
  const look = useCallback(async () => {
    const mine = ++round.current;
    try {
      const value = await call(wanted);
      if (mine === round.current) setSeen({ value, error: undefined, at: Date.now(), of: wanted });
    } catch (error) {
      if (mine === round.current) setSeen((old) => ({ ...old, error, of: wanted, value: old.of === wanted ? old.value : undefined }));
    }
  }, [wanted]);
  useEffect(() => { look(); }, [look]);
  const busy = seen.value !== undefined && isBusy(seen.value);
  useEffect(() => {
    const timer = setInterval(() => { if (!document.hidden) look(); }, busy ? BUSY_EVERY : QUIET_EVERY);
    const back = () => { if (!document.hidden) look(); };
    document.addEventListener("visibilitychange", back);
    return () => { clearInterval(timer); document.removeEventListener("visibilitychange", back); };
  }, [look, busy]);
  return { ...(seen.of === wanted ? seen : { value: undefined, error: undefined, at: 0 }), look };
}

const anyBusy = (page) => (page.items ?? []).some((row) => row.state && mood(row.state) === "busy");

function Trouble({ look }) {
  const { error, value, at } = look;
  if (!error) return null;
  const stale = value !== undefined ? html` What is shown is of ${clock(at)}.` : "";
  return html`<p role="alert" class="trouble">${error.message}${stale} <button type="button" onClick=${look.look}>Try again</button></p>`;
}

function Rows({ kind, rows, go }) {
  const list = LISTS[kind];
  return html`<div class="scroll"><table>
    <thead><tr>${list.columns.map(([name]) => html`<th scope="col">${name}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${row.id}>
      ${list.columns.map(([name, cell], index) => html`<td data-label=${name}>${
        index === (kind === "letters" ? 0 : 1)
          ? html`<${Link} to=${list.to?.(row) || { view: kind, id: list.to ? "" : row.id }} go=${go}>${cell(row)}<//>`
          : cell(row)
      }</td>`)}
    </tr>`)}</tbody>
  </table></div>`;
}

/** A real link, so that it opens in a new tab too; a plain click stays in this page. */
function Link({ to, go, current, children }) {
  const follow = (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(to);
  };
  return html`<a href=${address.write(to) || "?"} aria-current=${current ? "page" : undefined} onClick=${follow}>${children}</a>`;
}

function List({ place, go }) {
  const list = LISTS[place.view];
  const query = Object.fromEntries(Object.keys(list.filters).filter((name) => place[name]).map((name) => [name, place[name]]));
  const look = useLook(`${list.path}${address.write({ limit: 50, ...query })}`, anyBusy);
  const filtered = Object.keys(list.filters).filter((name) => place[name]);
  const change = (name, value) => go({ ...place, [name]: value }, { replace: true });
  return html`<section aria-labelledby="heading">
    <h1 id="heading">${VIEWS[place.view]}</h1>
    ${Object.keys(list.filters).length > 0 && html`<form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
      ${Object.entries(list.filters).map(([name, choice]) => Array.isArray(choice)
        ? html`<label>State <select value=${place[name] ?? ""} onChange=${(event) => change(name, event.target.value)}>
            <option value="">any</option>${choice.map((each) => html`<option value=${each}>${spoken(each)}</option>`)}
          </select></label>`
        : html`<label>${choice} <input type="search" data-search placeholder="whole name" value=${place[name] ?? ""}
            onChange=${(event) => change(name, event.target.value.trim())} /></label>`)}
    </form>`}
    <${Trouble} look=${look} />
    ${look.value === undefined ? !look.error && html`<p class="wait">Loading…</p>`
      : look.value.items.length ? html`<${Rows} kind=${place.view} rows=${look.value.items} go=${go} />`
      : html`<p class="empty">${list.empty}${filtered.length ? html` with ${filtered.map((name) => `${name} ${place[name]}`).join(" and ")}. <button
          type="button" onClick=${() => go({ view: place.view })}>Show all</button>` : "."}</p>`}
    ${look.value?.next && html`<${More} key=${address.write(query)} view=${place.view} query=${query} from=${look.value.next} go=${go} />`}
  </section>`;
}

/** The pages after the first: fetched when they are asked for, and not looked at again. */
function More({ view, query, from, go }) {
  const [seen, setSeen] = useState({ rows: [], next: from, error: "" });
  const more = async () => {
    try {
      const page = await call(`${LISTS[view].path}${address.write({ limit: 50, ...query, cursor: seen.next })}`);
      setSeen({ rows: [...seen.rows, ...page.items], next: page.next, error: "" });
    } catch (error) {
      setSeen({ ...seen, error: error.message });
    }
  };
  return html`${seen.rows.length > 0 && html`<${Rows} kind=${view} rows=${seen.rows} go=${go} />`}
    ${seen.error && html`<p role="alert" class="trouble">${seen.error}</p>`}
    ${seen.next && html`<p><button type="button" onClick=${more}>Show more</button></p>`}`;
}

function Part({ title, kind, state, go, tell }) {
  const look = useLook(`${LISTS[kind].path}${address.write({ state, limit: 10 })}`, anyBusy);
  const count = look.value?.items.length;
  const trouble = look.error?.message;
  useEffect(() => { tell(title, { count, trouble }); }, [count, trouble]);
  if (!count) return null;
  return html`<section><h2><${Link} to=${{ view: kind, state }} go=${go}>${title}<//> <span class="count">${count}${look.value.next ? "+" : ""}</span></h2>
    <${Rows} kind=${kind} rows=${look.value.items} go=${go} /></section>`;
}

function Inbox({ go }) {
  const [told, setTold] = useState({});
  const tell = (title, what) => setTold((old) => ({ ...old, [title]: what }));
  const parts = INBOX.map(([title]) => told[title] ?? {});
  const troubles = [...new Set(parts.map((each) => each.trouble).filter(Boolean))];
  const nothing = parts.every((each) => each.count === 0 && !each.trouble);
  return html`<h1>Inbox</h1>
    ${troubles.length > 0 && html`<p role="alert" class="trouble">${troubles.join("; ")} It is asked again.</p>`}
    ${nothing && html`<p class="empty">Nothing waits for anybody.</p>`}
    ${INBOX.map(([title, kind, state]) => html`<${Part} key=${title} title=${title} kind=${kind} state=${state} go=${go} tell=${tell} />`)}`;
}

function SignIn({ why, done }) {
  const [text, setText] = useState("");
  const [offered, setOffered] = useState(false);
  useEffect(() => { hasSignIn().then(setOffered); }, []);
  const submit = (event) => {
    event.preventDefault();
    setKey(text.trim());
    done();
  };
  const back = encodeURIComponent(location.pathname + location.search);
  return html`<form class="signin" onSubmit=${submit}>
    <h1>Who are you?</h1>
    ${key() && html`<p role="alert" class="trouble">${why}</p>`}
    ${offered && html`<p><a href=${`/.auth/login/aad?post_login_redirect_uri=${back}`}>Sign in with Entra</a>, or show a key:</p>`}
    <label>API key or access token <input type="password" autocomplete="off" required value=${text} onInput=${(event) => setText(event.target.value)} /></label>
    <p>It stays in this tab, and is gone when the tab is closed.</p>
    <button>Sign in</button>
  </form>`;
}

function Console() {
  const [place, setPlace] = useState(() => address.read(location.search));
  const [who, setWho] = useState(0);
  const [refused, setRefused] = useState("");
  const go = useCallback((to, { replace = false } = {}) => {
    history[replace ? "replaceState" : "pushState"](null, "", `${location.pathname}${address.write(to)}`);
    setPlace(to);
  }, []);
  useEffect(() => {
    const back = () => setPlace(address.read(location.search));
    const keys = (event) => {
      if (event.target.closest("input, textarea, select, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "/") {
        const field = document.querySelector("[data-search]");
        if (field) { event.preventDefault(); field.focus(); }
      }
      if (event.key === "Escape" && address.read(location.search).id) history.back();
    };
    const refuse = (event) => setRefused(event.detail);
    addEventListener("popstate", back);
    addEventListener("keydown", keys);
    refusals.addEventListener("refused", refuse);
    return () => {
      removeEventListener("popstate", back);
      removeEventListener("keydown", keys);
      refusals.removeEventListener("refused", refuse);
    };
  }, []);
  const again = () => { setRefused(""); setWho(who + 1); };
  const view = place.view in VIEWS ? place.view : "inbox";
  useEffect(() => { document.title = place.id ? `${VIEWS[view]}: ${place.id} – Tidegate` : `${VIEWS[view]} – Tidegate`; }, [view, place.id]);
  return html`<header><strong>Tidegate</strong>
    <nav aria-label="Views">${Object.entries(VIEWS).map(([name, title]) => html`<${Link}
      to=${{ view: name }} go=${go} current=${name === view}>${title}<//>`)}</nav>
    ${key() && html`<button type="button" class="quiet" onClick=${() => { setKey(""); again(); }}>Sign out</button>`}
  </header>
  <main key=${who}>${refused ? html`<${SignIn} why=${refused} done=${again} />`
    : place.id && view in LISTS ? html`<${Story} key=${place.id} kind=${view} id=${place.id} go=${go} useLook=${useLook} Trouble=${Trouble} Badge=${Badge} />`
    : view === "inbox" ? html`<${Inbox} go=${go} />`
    : html`<${List} key=${view} place=${{ ...place, view }} go=${go} />`}</main>`;
}

const root = document.getElementById("console");
root.replaceChildren();
render(html`<${Console} />`, root);
