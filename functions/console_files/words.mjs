// States and times in words and colours.

const GOOD = new Set(["Promoted", "Delivered", "Serving"]);
const BAD = new Set(["Rejected", "Errored", "Failed", "RolledBack", "PausedRollout"]);
const QUIET = new Set(["Ignored", "Superseded", "Held", "Empty"]);

/** good, bad, quiet, or busy: whether somebody has to look. */
export function mood(state) {
  if (GOOD.has(state)) return "good";
  if (BAD.has(state)) return "bad";
  return QUIET.has(state) ? "quiet" : "busy";
}

/** "RolledBack" -> "rolled back". */
export function spoken(state) {
  return String(state ?? "").replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
}

/** How long ago, in one unit. */
export function ago(time, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  if (!Number.isFinite(seconds)) return "";
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return `${seconds} s ago`;
}

/** A moment as a clock here shows it, with the day where it was not today. */
export function clock(time, now = new Date()) {
  const then = new Date(time);
  if (Number.isNaN(then.getTime())) return "";
  const hours = then.toLocaleTimeString("en-GB");
  return then.toDateString() === now.toDateString() ? hours : `${then.toLocaleDateString("en-CA")} ${hours}`;
}

/** "sha256:0123..." -> its first digits. */
export const short = (digest) => String(digest ?? "").replace(/^sha256:/, "").slice(0, 12);

export function size(bytes) {
  let value = Number(bytes);
  for (const unit of ["B", "KiB", "MiB"]) {
    if (value < 1024) return `${value < 10 && unit !== "B" ? value.toFixed(1) : Math.round(value)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} GiB`;
}
