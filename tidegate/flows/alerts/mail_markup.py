"""How a mail looks: HTML that old mail programs show, a phone of 320 points holds, and a dark screen does not glare with.

Every style is at its element, because some programs drop style sheets; the one sheet only adds the dark colours. Everything
that is given here as words is escaped here; what is called a body is markup already.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from tidegate.flows.alerts.notices import Severity
from tidegate.flows.base import Pairs

_COLOUR: Mapping[Severity, str] = {"error": "#b3261e", "warning": "#8a5300", "info": "#1b6e3c"}
_FONT = "font:15px/1.5 -apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif;color:#1f1f1f"
_SMALL = "font-size:13px;color:#444;word-break:break-word"
_BREAK = "word-break:break-word;overflow-wrap:anywhere"
_CODE = (
    "margin:0;padding:8px;background:#f4f4f4;color:#1f1f1f;border-radius:4px;font:12px/1.4 Menlo,Consolas,monospace;"
    "white-space:pre-wrap;word-break:break-word"
)
_DARK = (
    "@media (prefers-color-scheme:dark){"
    "body{background:#1b1b1b!important;color:#e8e8e8!important}"
    ".quiet{color:#b8b8b8!important}.code{background:#2b2b2b!important;color:#e8e8e8!important}"
    ".first{background:#a8c7fa!important;color:#062e6f!important}"
    ".other{background:#2f3a4f!important;color:#d3e3fd!important}"
    ".link{color:#a8c7fa!important}}"
)


def page(heading: str, body: str, footer: str, severity: Severity) -> str:
    """The whole mail."""
    title = html.escape(heading)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">'
        f"<title>{title}</title><style>{_DARK}</style></head>"
        f'<body style="margin:0;padding:16px;background:#ffffff;{_FONT}"><div style="max-width:640px;margin:0 auto">'
        f'<h1 style="margin:0 0 8px;padding-left:10px;border-left:4px solid {_COLOUR[severity]};font-size:18px;'
        f'line-height:1.3;{_BREAK}">{title}</h1>{body}'
        f'<p class="quiet" style="margin-top:24px;{_SMALL}">{html.escape(footer)}</p></div></body></html>'
    )


def paragraph(words: str, label: str = "") -> str:
    """Words, below a label if there is one."""
    head = f"<b>{html.escape(label)}</b><br>" if label else ""
    return f"<p>{head}{html.escape(words)}</p>"


def code(label: str, text: str) -> str:
    """Lines as they were written."""
    return f'{_label(label)}<pre class="code" style="{_CODE}">{html.escape(text)}</pre>'


def names(label: str, every: Sequence[str]) -> str:
    """Many names, small."""
    return f'{_label(label)}<div class="quiet" style="{_SMALL}">{html.escape(", ".join(every))}</div>'


def table(rows: Pairs) -> str:
    """Label and value."""
    cells = "".join(
        f'<tr><td class="quiet" style="padding:2px 12px 2px 0;color:#555;vertical-align:top;white-space:nowrap">'
        f'{html.escape(label)}</td><td style="padding:2px 0;{_BREAK}">{html.escape(value)}</td></tr>'
        for label, value in rows
    )
    return f'<table role="presentation" style="border-collapse:collapse;font-size:14px">{cells}</table>'


def buttons(every: Sequence[tuple[str, str]]) -> str:
    """Label and address; the first is what most people want."""
    return "<p>" + " ".join(_button(label, link, place == 0) for place, (label, link) in enumerate(every)) + "</p>"


def items(every: Sequence[tuple[str, str, str, Sequence[str]]]) -> str:
    """A list: title, address or nothing, and below, small, the reason and names."""
    rows = "".join(
        f'<li style="margin:0 0 12px;{_BREAK}"><b>{_linked(title, link)}</b>{_below(why)}{_below(", ".join(below))}</li>'
        for title, link, why, below in every
    )
    return f'<ul style="padding-left:18px">{rows}</ul>'


def _label(words: str) -> str:
    return f'<p style="margin:12px 0 4px"><b>{html.escape(words)}</b></p>'


def _below(words: str) -> str:
    return f'<div class="quiet" style="{_SMALL}">{html.escape(words)}</div>' if words else ""


def _button(label: str, link: str, is_first: bool) -> str:
    kind, colours = ("first", "#0b57d0;color:#ffffff") if is_first else ("other", "#e8eef9;color:#0b3d91")
    shape = "display:inline-block;margin:0 4px 8px 0;padding:10px 14px;border-radius:4px;text-decoration:none"
    style = f"{shape};background:{colours}"
    return f'<a class="{kind}" href="{html.escape(link)}" style="{style}">{html.escape(label)}</a>'


def _linked(text: str, link: str) -> str:
    if not link:
        return html.escape(text)
    return f'<a class="link" href="{html.escape(link)}" style="color:#0b57d0">{html.escape(text)}</a>'
