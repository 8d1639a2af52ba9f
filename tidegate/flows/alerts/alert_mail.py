"""Notices as mails: a subject of one line, the same content as plain text and as HTML that a phone can show.

Everything that comes from outside is cleaned (safe_text) and, in HTML, escaped. A link is shown only if its host is allowed;
the links of the buttons are made by the caller.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Mapping, Sequence

from tidegate.flows.alerts import mail_markup, safe_text
from tidegate.flows.alerts.notices import Line, Notice, NoticeKind, Severity

MAX_SUBJECT = 200
MAX_TITLE = 300
MAX_FACT = 300
MAX_LOG = 4000
"""Characters of the log that a mail shows: its end."""
MAX_DIGEST_NAME = 120
MAX_DIGEST_WHY = 120

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
    why: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Button:
    """A link that does something: what it is called and where it leads."""

    label: str
    link: str


def single(identity: str, notice: Notice, buttons: Sequence[Button], hosts: Sequence[str], to: Sequence[str]) -> Mail:
    """The mail about one incident."""
    alert = notice.alert
    severity: Severity = "info" if notice.kind == "recovered" else alert.severity
    subject = safe_text.line(
        f"{_NAME}{_PREFIX[notice.kind]} {safe_text.masked(alert.title)}{_times(notice)}", MAX_SUBJECT
    )
    link = allowed(alert.link, hosts)
    every = ((Button("Open the run", link),) if link else ()) + tuple(each for each in buttons if each.link)
    parts = _Parts(
        heading=safe_text.line(f"{_PREFIX[notice.kind]} {safe_text.masked(alert.title)}", MAX_TITLE),
        lead=_lead(notice),
        why="" if notice.kind == "recovered" else safe_text.line(safe_text.masked(alert.why), MAX_TITLE),
        todo="" if notice.kind == "recovered" else alert.todo,
        facts=tuple((label, safe_text.line(safe_text.masked(value), MAX_FACT)) for label, value in alert.facts),
        names=_others(notice),
        log=safe_text.lines(safe_text.masked(alert.log), MAX_LOG) if notice.kind != "recovered" else "",
        buttons=every,
    )
    return Mail(identity, severity, subject, _text(parts), _html(parts, severity), tuple(to))


def entry(line: Line, hosts: Sequence[str]) -> Entry:
    """What a digest shows of it."""
    title = safe_text.line(f"{_PREFIX[line.kind]} {safe_text.masked(line.title)}", MAX_TITLE)
    names = tuple(safe_text.line(name, MAX_DIGEST_NAME) for name in line.names)
    why = safe_text.line(safe_text.masked(line.why), MAX_DIGEST_WHY)
    return Entry(title, allowed(line.link, hosts), names, line.count, "" if why in title else why)


def digest(identity: str, entries: Sequence[Entry], severity: Severity, to: Sequence[str]) -> Mail:
    """One mail about many incidents: every thing that happened is named in it, with the reason of the latest."""
    total = sum(len(each.names) for each in entries)
    heading = f"Digest: {_several(len(entries), 'alert')}, {_several(total, 'failure')}"
    lead = "Too much happened for a mail each (alerts.rate of gates.yaml)."
    blocks = [
        "\n".join((each.title, *_indented(each.why), *_indented(_below(each)), *_indented(each.link)))
        for each in entries
    ]
    text = "\n\n".join((heading, lead, *blocks, _FOOTER)) + "\n"
    items = mail_markup.items([(each.title, each.link, each.why, _below(each)) for each in entries])
    markup = mail_markup.page(heading, mail_markup.paragraph(lead) + items, _FOOTER, severity)
    return Mail(identity, severity, f"{_NAME} {heading}", text, markup, tuple(to))


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
    names: Sequence[str]
    log: str
    buttons: tuple[Button, ...]


_NAME = "[Tidegate]"
_PREFIX: Mapping[NoticeKind, str] = {"failed": "", "again": " Again:", "recovered": " Recovered:"}
_FOOTER = "Sent by Tidegate. Who gets this mail is said in gates.yaml (alerts.routes)."


def _others(notice: Notice) -> Sequence[str]:
    """All that it happened to; nothing, if that is the one thing that the rest of the mail is about."""
    if notice.names == (notice.alert.name,):
        return ()
    return tuple(safe_text.line(name, MAX_DIGEST_NAME) for name in notice.names)


def _times(notice: Notice) -> str:
    return f" ({notice.count} times)" if notice.count > 1 else ""


def _lead(notice: Notice) -> str:
    since = _minute(notice.since)
    match notice.kind:
        case "failed" if notice.count == 1:
            return f"At {since} UTC."
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
    if parts.names:
        blocks.append(f"All of it: {', '.join(parts.names)}")
    if parts.log:
        blocks.append("The end of the log:\n" + "\n".join(f"  | {each}" for each in parts.log.splitlines()))
    if parts.buttons:
        blocks.append("\n".join(f"{each.label}: {each.link}" for each in parts.buttons))
    return "\n\n".join((*blocks, _FOOTER)) + "\n"


def _html(parts: _Parts, severity: Severity) -> str:
    body = [mail_markup.paragraph(parts.lead)]
    if parts.why:
        body.append(mail_markup.code("Why", parts.why))
    if parts.todo:
        body.append(mail_markup.paragraph(parts.todo, "Next"))
    if parts.buttons:
        body.append(mail_markup.buttons([(each.label, each.link) for each in parts.buttons]))
    if parts.facts:
        body.append(mail_markup.table(parts.facts))
    if parts.names:
        body.append(mail_markup.names("All of it", parts.names))
    if parts.log:
        body.append(mail_markup.code("The end of the log", parts.log))
    return mail_markup.page(parts.heading, "".join(body), _FOOTER, severity)


def _below(entry: Entry) -> Sequence[str]:
    """The names that a line of a digest shows below its title: none, if the title says the only one."""
    return () if len(entry.names) == 1 and entry.names[0] in entry.title else entry.names


def _indented(words: Sequence[str] | str) -> Sequence[str]:
    line = words if isinstance(words, str) else ", ".join(words)
    return (f"  {line}",) if line else ()


def _several(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
