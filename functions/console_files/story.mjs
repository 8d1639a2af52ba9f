// One image, model or dead letter: what it is, what happened to it, and what a person can do about it.

import { html, useEffect, useRef, useState } from "./preact.mjs";
import { call, path } from "./api.mjs";
import { clock, mood, short, size, spoken } from "./words.mjs";

const EAGER = 60000; // milliseconds after something was asked for in which it is looked at often
const TITLES = { images: "Image", models: "Model", letters: "Event" };
const PATHS = { images: "promotions", models: "deliveries", letters: "dead-letters" };

/** A question before anything is done: says what follows, and wants the reason that is kept. */
function Ask({ action, close, done }) {
  const dialog = useRef(null);
  const [reason, setReason] = useState("");
  const [error, setError] = useState("");
  const [sending, setSending] = useState(false);
  useEffect(() => { dialog.current.showModal(); }, []);
  const send = async (event) => {
    event.preventDefault();
    setSending(true);
    setError("");
    try {
      await call(action.path, action.wantsReason === false ? {} : { ...action.body, reason: reason.trim() });
      done(action);
      dialog.current.close(); // gives the focus back, which taking the dialog away does not
    } catch (problem) {
      setError(problem.message);
      setSending(false);
    }
  };
  return html`<dialog ref=${dialog} onClose=${close} aria-labelledby="ask">
    <form onSubmit=${send}>
      <h2 id="ask">${action.title}</h2>
      <p>${action.words}</p>
      ${action.wantsReason !== false && html`<label>Reason, kept with the history
        <textarea required maxlength="500" rows="3" value=${reason} onInput=${(event) => setReason(event.target.value)}></textarea></label>`}
      ${error && html`<p role="alert" class="trouble">${error}</p>`}
      <p class="buttons"><button type="button" class="quiet" onClick=${() => dialog.current.close()}>Cancel</button>
        <button class=${action.grave ? "grave" : ""} disabled=${sending}>${sending ? "Asking…" : action.label}</button></p>
    </form>
  </dialog>`;
}

function Facts({ rows }) {
  const shown = rows.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return html`<dl>${shown.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function History({ rows }) {
  return html`<h2>History</h2><div class="scroll"><table>
    <thead><tr>${["When", "Who", "What", "From", "To", "Why"].map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
    <tbody>${[...rows].reverse().map((row) => html`<tr key=${row.sequence}>
      <td data-label="When"><time datetime=${row.at} title=${row.at}>${clock(row.at)}</time></td><td data-label="Who">${row.who}</td>
      <td data-label="What">${spoken(row.what)}</td><td data-label="From">${spoken(row.before)}</td><td data-label="To">${spoken(row.after)}</td>
      <td data-label="Why">${row.why}</td></tr>`)}</tbody></table></div>`;
}

function Log({ id }) {
  const [log, setLog] = useState(null);
  const text = useRef(null);
  useEffect(() => { if (text.current) text.current.scrollTop = text.current.scrollHeight; }, [log]); // the end says why
  const show = async () => {
    try {
      setLog(String(await call(`${path("promotions", id)}/log`)));
    } catch (error) {
      setLog(error.message);
    }
  };
  return log === null ? html`<p><button type="button" class="quiet" onClick=${show}>Show the log of its test</button></p>`
    : html`<h2>Log of its test</h2><pre tabindex="0" ref=${text}>${log}</pre>`;
}

/** What became of each; a digest that was asked for without a tag is a claim without one. */
function tags(found) {
  const claims = (found.claims ?? []).filter((each) => each.tag);
  return claims.map((each) => `${each.tag} (${each.status}${each.detail ? `: ${each.detail}` : ""})`).join(", ") || found.tags.join(", ");
}

/** Steps to which a service gives no answer. */
export function tried(found) {
  return (found.retries ?? []).map((each) => `${spoken(each.step)}, ${each.tries} times since ${clock(each.since)}, next at ${clock(each.next)}: ${each.reason}`).join("; ");
}

const MAY_OVERRIDE = new Set(["test", "requirements", "referrers"]);

function Image({ found }) {
  const verdict = found.verdict;
  return html`<${Facts} rows=${[
    ["Digest", html`<code>${found.digest}</code>`], ["Tags", tags(found)], ["Gate", found.gate?.name],
    ["Tried again", tried(found)],
    ["Test", verdict && `${verdict.kind}${verdict.reason ? `: ${verdict.reason}` : ""}`], ["Reason", found.reason],
    ["Asked by", (found.requests ?? []).map((each) => `${each.who}: ${each.why}`).join("; ")], ["Override", found.override && `by ${found.override.who}: ${found.override.why}`],
    ["Record", found.record && html`<code>${short(found.record)}</code>`], ["Trace", found.trace && html`<code>${found.trace}</code>`],
  ]} />${verdict?.log && html`<${Log} id=${found.id} />`}`;
}

function Weights({ weights }) {
  if (!weights) return "";
  const part = (named, words) => Object.entries(named).map(([name, percent]) => html`<li>
    <meter min="0" max="100" value=${percent}>${percent} %</meter> ${percent} % ${words} ${name}</li>`);
  return html`<ul class="weights">${part(weights.live, "to")}${part(weights.mirror, "mirrored to")}</ul>`;
}

function Stage({ stage, ended }) {
  const end = stage.endpoint;
  const [kind, words] = { passed: ["good", "passed"], current: ended ? ["bad", "ended here"] : ["busy", "current"] }[stage.state] ?? ["quiet", stage.state];
  return html`<li class="stage ${stage.state}"><h3>${stage.name} <span class="badge ${kind}">${words}</span></h3>
    <${Facts} rows=${[
      ["Endpoint", `${stage.target.endpoint} (${stage.target.kind}) in ${stage.target.workspace}`],
      ["Now", end && `${spoken(end.state)}${end.reason ? `: ${end.reason}` : ""}`], ["Serves", end?.champion], ["Comes", end?.challenger], ["Traffic", end?.weights && html`<${Weights} weights=${end.weights} />`],
      ["Held", end?.held && `by ${end.held.who}: ${end.held.why}`], ["Waits", end?.waiting],
      ["Needs", stage.needs && `${stage.needs.quorum} of ${stage.needs.roles.join(", ")}`],
      ["Approved by", stage.approvals.map((each) => `${each.who}: ${each.why}`).join("; ")], ["Result", stage.reason], ["Fault", end?.fault],
    ]} /></li>`;
}

function Model({ found }) {
  const { facts, approval } = found;
  return html`<${Facts} rows=${[
    ["Waits for", approval && `${approval.quorum} of ${approval.roles.join(" or ")} for ${approval.stage}, until ${clock(approval.expires)}; without an answer it is rejected`],
    ["Workspace", found.workspace], ["Gate", found.gate?.name], ["Tried again", tried(found)], ["Reason", found.reason], ["In production before", found.champion],
    ["Metrics", facts && Object.entries(facts.metrics).map(([name, value]) => `${name} ${value}`).join(", ")],
    ["Artefact", facts?.artefact.sha256 && html`<code>${short(facts.artefact.sha256)}</code> ${size(facts.artefact.size)} in ${facts.artefact.files} files`],
    ["Run", facts?.run], ["Data", facts?.data], ["Trained by", facts?.image && html`<code>${facts.image}</code>`],
    ["Served by", facts?.serving_image && html`<code>${facts.serving_image}</code>`], ["Registered by", facts?.registered_by],
    ["Evidence", found.evidence && html`<code>${short(found.evidence)}</code>`], ["Trace", found.trace && html`<code>${found.trace}</code>`],
  ]} />
  ${found.stages.length > 0 && html`<h2>Stages</h2><ol class="stages">${found.stages.map((stage) => html`<${Stage} key=${stage.name} stage=${stage} ended=${mood(found.state) !== "busy"} />`)}</ol>`}`;
}

function Letter({ found }) {
  return html`<${Facts} rows=${[["Came", clock(found.at)], ["Reason", found.reason]]} /><h2>As it came</h2><pre tabindex="0">${found.body}</pre>`;
}

/** What can be done, each with the words that are asked before. */
export function actions(kind, found) {
  if (kind === "letters") {
    return [{ label: "Replay", title: "Let it come in once more?", words: "It leaves this list when it is taken.", path: `${path("dead-letters", found.id)}/replay`, wantsReason: false }];
  }
  if (kind === "images") {
    if (found.state !== "Rejected" && found.state !== "Errored") return [];
    const again = found.state === "Errored" || !MAY_OVERRIDE.has(found.cause);
    return [{
      label: again ? "Try again" : "Promote all the same", grave: !again, title: again ? "Ask for the promotion again?" : "Promote it although it was rejected?",
      words: again ? "It is tested and promoted as if it were pushed now." : "The digest is promoted without a passing test; its record says who wanted it, and why.",
      path: "/promotions", body: { repository: found.repository, digest: found.digest, override: !again },
    }];
  }
  const at = path("deliveries", found.id);
  const name = `${found.model}:${found.version}`;
  const offered = [];
  if (found.approval) {
    const who = `${name} for ${found.approval.stage}`;
    offered.push({ label: "Approve", title: `Approve ${who}?`, words: `Your yes is bound to the evidence ${short(found.evidence)}: if the model changes, it is void.`, path: `${at}/approve`, body: { evidence: found.evidence } });
  }
  if (found.state !== "Rejected" && found.state !== "Ignored") {
    offered.push({ label: "Reject", grave: true, title: "Reject this version?", words: "It is blocked everywhere; where it serves, the last good one is put back.", path: `${at}/reject`, body: {} });
  }
  const ends = found.stages.filter((stage) => stage.endpoint);
  if (ends.some(({ endpoint }) => endpoint.champion === name || endpoint.challenger === name)) {
    offered.push({ label: "Roll back", grave: true, title: "Roll back?", words: "The last good version gets all traffic, and the endpoints are held until they are released.", path: `${at}/rollback`, body: {} });
  }
  if (ends.some((stage) => !stage.endpoint.held)) {
    offered.push({ label: "Hold", title: "Hold the endpoints?", words: "Nothing new begins, and no traffic moves, until they are released.", path: `${at}/hold`, body: {} });
  }
  if (ends.some((stage) => stage.endpoint.held || stage.endpoint.state === "PausedRollout")) {
    offered.push({ label: "Release", title: "Release the endpoints?", words: "What was held or paused goes on.", path: `${at}/release`, body: {} });
  }
  return offered;
}

export function Story({ kind, id, go, useLook, Trouble, Badge }) {
  const wanted = path(PATHS[kind], id);
  const [action, setAction] = useState(null);
  const [asked, setAsked] = useState(null);
  const look = useLook(wanted, (value) => (value.state !== undefined && mood(value.state) === "busy") || (asked !== null && Date.now() - asked.at < EAGER));
  const done = (which) => { setAsked({ label: which.label, at: Date.now() }); look.look(); };
  const notice = html`<p role="status" class="notice">${asked && `${asked.label}: asked for at ${clock(asked.at)}. What comes of it shows here.`}</p>`;
  const gone = kind === "letters" && look.error?.status === 404;
  const found = gone ? undefined : look.value;
  const back = html`<p><a href=${`?view=${kind}`} onClick=${(event) => { event.preventDefault(); go({ view: kind }); }}>← All</a></p>`;
  if (!found) {
    return html`${back}<h1>${TITLES[kind]} ${short(id)}</h1>${asked && notice}
      ${gone ? html`<p class="empty">It is not here${asked ? " any more: it was taken" : ""}.</p>` : html`<${Trouble} look=${look} />${!look.error && html`<p class="wait">Loading…</p>`}`}`;
  }
  const name = kind === "images" ? `${found.repository}${found.tags.length ? `:${found.tags[0]}` : ""}` : kind === "models" ? `${found.model}:${found.version}` : `Event ${short(id)}`;
  const View = { images: Image, models: Model, letters: Letter }[kind];
  const offered = actions(kind, found);
  return html`${back}<article>
    <h1>${name} ${found.state && html`<${Badge} state=${found.state} />`}</h1>
    <${Trouble} look=${look} />${notice}
    ${offered.length > 0 && html`<p class="buttons">${offered.map((each) => html`<button type="button" class=${each.grave ? "grave" : ""}
      onClick=${() => setAction(each)}>${each.label}</button>`)}</p>`}
    <${View} found=${found} />
    ${found.history && html`<${History} rows=${found.history} />`}
    ${action && html`<${Ask} action=${action} close=${() => setAction(null)} done=${done} />`}
  </article>`;
}
