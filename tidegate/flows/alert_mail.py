"""Notices as mails: a subject of one line, the same content as plain text and as HTML that a phone can show.

Everything that comes from outside is cleaned (safe_text) and, in HTML, escaped. A link is shown only if its host is allowed;
the links of the buttons are made by the caller.
"""

from __future__ import annotations

import dataclasses
import datetime
import html
import re
from collections.abc import Mapping, Sequence

from tidegate.flows import safe_text
from tidegate.flows.alerts import Line, Notice, NoticeKind, Severity

MAX_SUBJECT = 200
MAX_TITLE = 300
MAX_FACT = 300
MAX_LOG = 4000
"""Characters of the log that a mail shows: its end."""
MAX_DIGEST_NAME = 120

_URL = re.compile(r"https://([a-z0-9.-]{1,253})(?::443)?(/[!-~]*)?\Z", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class Mail:
    """What goes to the workflow."""

    id: str
    """The same for the same mail, however often it is sent."""
    severity: Severity
    subject: str
    text: str
    html: str
    to: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One line of a digest: also how it is kept among the evidence."""

    title: str
    link: str
    names: tuple[str, ...]
    count: int


@dataclasses.dataclass(frozen=True, slots=True)
class Button:
    """A link that does something: what it is called and where it leads."""

    label: str
    link: str


def single(identity: str, notice: Notice, buttons: Sequence[Button], hosts: Sequence[str], to: Sequence[str]) -> Mail:
    """The mail about one incident."""
    alert = notice.alert
    severity: Severity = "info" if notice.kind == "recovered" else alert.severity
    subject = safe_text.line(f"{_PREFIX[notice.kind]} {safe_text.masked(alert.title)}{_times(notice)}", MAX_SUBJECT)
    link = allowed(alert.link, hosts)
    every = ((Button("Open it", link),) if link else ()) + tuple(each for each in buttons if each.link)
    parts = _Parts(
        heading=safe_text.line(safe_text.masked(alert.title), MAX_TITLE),
        lead=_lead(notice),
        why="" if notice.kind == "recovered" else safe_text.line(safe_text.masked(alert.why), MAX_TITLE),
        todo="" if notice.kind == "recovered" else alert.todo,
        facts=tuple((label, safe_text.line(safe_text.masked(value), MAX_FACT)) for label, value in alert.facts),
        names=tuple(safe_text.line(name, MAX_DIGEST_NAME) for name in notice.names),
        log=safe_text.lines(safe_text.masked(alert.log), MAX_LOG) if notice.kind != "recovered" else "",
        buttons=every,
    )
    return Mail(identity, severity, subject, _text(parts), _html(parts, severity), tuple(to))


def entry(line: Line, hosts: Sequence[str]) -> Entry:
    """What a digest shows of it."""
    title = safe_text.line(f"{_PREFIX[line.kind]} {safe_text.masked(line.title)}", MAX_TITLE)
    names = tuple(safe_text.line(name, MAX_DIGEST_NAME) for name in line.names)
    return Entry(title, allowed(line.link, hosts), names, line.count)


def digest(identity: str, entries: Sequence[Entry], severity: Severity, to: Sequence[str]) -> Mail:
    """One mail about many incidents: every thing that happened is named in it."""
    total = sum(len(each.names) for each in entries)
    subject = f"[Tidegate] Digest: {len(entries)} alerts, {total} failures"
    blocks = [
        f"{each.title}\n  {', '.join(each.names)}" + (f"\n  {each.link}" if each.link else "") for each in entries
    ]
    lead = "More went wrong than mails are allowed, so this mail stands for many."
    text = "\n\n".join((subject.removeprefix("[Tidegate] "), lead, *blocks, _FOOTER)) + "\n"
    rows = "".join(
        f'<li style="margin:0 0 12px"><b>{_linked(each.title, each.link)}</b>'
        f'<div style="{_SMALL}">{html.escape(", ".join(each.names))}</div></li>'
        for each in entries
    )
    body = f'<p>{html.escape(lead)}</p><ul style="padding-left:18px">{rows}</ul>'
    return Mail(
        identity, severity, subject, text, _page(subject.removeprefix("[Tidegate] "), body, severity), tuple(to)
    )


def allowed(link: str, hosts: Sequence[str]) -> str:
    """The link, if it leads to one of the hosts by https; else nothing."""
    found = _URL.match(link)
    return link if found and found[1].lower() in hosts else ""


@dataclasses.dataclass(frozen=True, slots=True)
class _Parts:
    heading: str
    lead: str
    why: str
    todo: str
    facts: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    log: str
    buttons: tuple[Button, ...]


_PREFIX: Mapping[NoticeKind, str] = {
    "failed": "[Tidegate]",
    "again": "[Tidegate] Again:",
    "recovered": "[Tidegate] Recovered:",
}
_COLOUR: Mapping[Severity, str] = {"error": "#b3261e", "warning": "#8a5300", "info": "#1b6e3c"}
_FONT = "font:15px/1.5 -apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif;color:#1f1f1f"
_SMALL = "font-size:13px;color:#444;word-break:break-word"
_FOOTER = "Sent by Tidegate. Who gets this mail is said in gates.yaml (alerts.routes)."


def _times(notice: Notice) -> str:
    return f" ({notice.count} times)" if notice.count > 1 else ""


def _lead(notice: Notice) -> str:
    since = _minute(notice.since)
    match notice.kind:
        case "failed" if notice.count == 1:
            return f"It happened once, at {since} UTC."
        case "failed":
            return f"It happened {notice.count} times since {since} UTC."
        case "again":
            return f"It goes on: {notice.count} times since {since} UTC, {len(notice.names)} since the last mail."
        case "recovered":
            return f"It went well again at {_minute(notice.at)} UTC, after {notice.count} failures since {since} UTC."


def _minute(moment: datetime.datetime) -> str:
    return f"{moment.astimezone(datetime.UTC):%Y-%m-%d %H:%M}"


def _text(parts: _Parts) -> str:
    blocks = [parts.heading, parts.lead]
    if parts.why:
        blocks.append(f"Why:  {parts.why}")
    if parts.todo:
        blocks.append(f"Next: {parts.todo}")
    width = max((len(label) for label, _ in parts.facts), default=0)
    if parts.facts:
        blocks.append("\n".join(f"{label:<{width}}  {value}" for label, value in parts.facts))
    if len(parts.names) > 1:
        blocks.append(f"All of it: {', '.join(parts.names)}")
    if parts.log:
        blocks.append("The end of the log:\n" + "\n".join(f"  | {each}" for each in parts.log.splitlines()))
    if parts.buttons:
        blocks.append("\n".join(f"{each.label}: {each.link}" for each in parts.buttons))
    return "\n\n".join((*blocks, _FOOTER)) + "\n"


def _html(parts: _Parts, severity: Severity) -> str:
    e = html.escape
    body = [f"<p>{e(parts.lead)}</p>"]
    if parts.why:
        body.append(f'<p style="margin:0 0 4px"><b>Why</b></p><pre style="{_PRE}">{e(parts.why)}</pre>')
    if parts.todo:
        body.append(f"<p><b>Next</b><br>{e(parts.todo)}</p>")
    if parts.buttons:
        body.append(
            "<p>" + " ".join(_button(each, first=place == 0) for place, each in enumerate(parts.buttons)) + "</p>"
        )
    if parts.facts:
        rows = "".join(
            f'<tr><td style="padding:2px 12px 2px 0;color:#555;vertical-align:top;white-space:nowrap">{e(label)}</td>'
            f'<td style="padding:2px 0;word-break:break-word">{e(value)}</td></tr>'
            for label, value in parts.facts
        )
        body.append(f'<table role="presentation" style="border-collapse:collapse;font-size:14px">{rows}</table>')
    if len(parts.names) > 1:
        body.append(
            f'<p style="margin:12px 0 4px"><b>All of it</b></p><div style="{_SMALL}">{e(", ".join(parts.names))}</div>'
        )
    if parts.log:
        body.append(
            f'<p style="margin:12px 0 4px"><b>The end of the log</b></p><pre style="{_PRE}">{e(parts.log)}</pre>'
        )
    return _page(parts.heading, "".join(body), severity)


_PRE = (
    "margin:0;padding:8px;background:#f4f4f4;border-radius:4px;font:12px/1.4 Menlo,Consolas,monospace;"
    "white-space:pre-wrap;word-break:break-word"
)


def _button(button: Button, *, first: bool) -> str:
    colours = "background:#0b57d0;color:#ffffff" if first else "background:#e8eef9;color:#0b3d91"
    style = (
        f"display:inline-block;margin:0 4px 8px 0;padding:10px 14px;border-radius:4px;text-decoration:none;{colours}"
    )
    return f'<a href="{html.escape(button.link)}" style="{style}">{html.escape(button.label)}</a>'


def _linked(text: str, link: str) -> str:
    return f'<a href="{html.escape(link)}">{html.escape(text)}</a>' if link else html.escape(text)


def _page(heading: str, body: str, severity: Severity) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"></head>'
        f'<body style="margin:0;padding:16px;background:#ffffff;{_FONT}"><div style="max-width:640px;margin:0 auto">'
        f'<h1 style="margin:0 0 8px;padding-left:10px;border-left:4px solid {_COLOUR[severity]};font-size:18px;'
        f'line-height:1.3;word-break:break-word">{html.escape(heading)}</h1>{body}'
        f'<p style="margin-top:24px;{_SMALL}">{html.escape(_FOOTER)}</p></div></body></html>'
    )
