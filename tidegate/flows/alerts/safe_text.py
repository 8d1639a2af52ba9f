"""Foreign text made harmless for a mail: no control or direction characters, bounded, secrets masked."""

from __future__ import annotations

import re
import unicodedata

MASK = "***"

_IGNORE = re.IGNORECASE
_SECRETS = (
    # A signature, key or token in a query or a connection string.
    re.compile(
        r"((?:\b|[?&;])(?:sig|code|key|token|password|pwd|secret|accountkey|sharedaccesskey|api[-_]?key)=)[^&;\s\"']{3,}",
        _IGNORE,
    ),
    # NAME_KEY=value, "password": "value", token: value.
    re.compile(
        r"([\w.-]{0,40}(?:password|passwd|secret|token|api[-_]?key|account[-_]?key|access[-_]?key|credential|canary)"
        r"[\w.-]{0,40}[\"']?\s{0,3}[=:]\s{0,3}[\"']?)[^\s\"',;]{3,}",
        _IGNORE,
    ),
    re.compile(r"(\b(?:bearer|basic)\s{1,3})[A-Za-z0-9._~+/=-]{8,}", _IGNORE),
    re.compile(r"()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),  # a JSON web token
    re.compile(
        r"()\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|hf_[A-Za-z0-9]{20,}"
        r"|xox[abprs]-[\w-]{10,})"
    ),
    re.compile(r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)[A-Za-z0-9+/=\s\\]{1,8000}"),
    re.compile(r"()(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{86}==(?![A-Za-z0-9+/=])"),  # a storage account's key
    re.compile(r"(://[^/\s:@]{0,80}:)[^/\s@]{1,200}(?=@)"),  # user:password@host
)


def masked(text: str) -> str:
    """The text with what looks like a secret replaced. A net, not a promise: logs should hold none."""
    for pattern in _SECRETS:
        text = pattern.sub(lambda found: f"{found[1]}{MASK}", text)
    return text


def line(text: str, limit: int) -> str:
    """One line of at most `limit` characters: what could break or turn a line becomes a space."""
    clean = _defused(" ".join("".join(_shown(each) for each in text[: 4 * limit]).split()))
    return clean if len(clean) <= limit else f"{clean[: limit - 3].rstrip()}..."


def lines(text: str, limit: int) -> str:
    """The last `limit` characters as lines, each of them clean."""
    kept = text[-limit:]
    return "\n".join(_defused("".join(_shown(each) for each in one).rstrip()) for one in kept.splitlines()).strip("\n")


def _defused(text: str) -> str:
    """Mail programs make links of addresses in plain words: those of foreign text are taken apart."""
    return text.replace("://", "[:]//").replace("www.", "www[.]").replace("mailto:", "mailto[:]")


def _shown(character: str) -> str:
    """Cc, Cf (direction, zero width), Co, Cs and separators of lines are not shown."""
    if character == "\t":
        return "  "
    return " " if unicodedata.category(character) in _HIDDEN else character


_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
