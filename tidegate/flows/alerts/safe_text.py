"""Foreign text made harmless for a mail: no control or direction characters, bounded, secrets masked."""

from __future__ import annotations

import re
import unicodedata

MASK = "***"

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]{0,40}[ -/]{0,4}[@-~]|\][^\x07\x1b\n]{0,300}(?:\x07|\x1b\\)|[@-Z\\-_])")
"""ECMA-48: control sequences, titles of windows, single characters."""

_IGNORE = re.IGNORECASE
_SECRETS = (
    # A signature, key or token in a query or a connection string.
    re.compile(
        r"((?:\b|[?&;])(?:sig|code|key|token|password|pwd|secret|accountkey|sharedaccesskey|api[-_]?key)=)[^&;\s\"']{3,}",
        _IGNORE,
    ),
    # NAME_KEY=value, "password": "value", token: value; not max_tokens and tokenizer, which training says all the time.
    re.compile(
        r"((?:password|passwd|secret|token(?!s|iz)|(?:api|account|access|functions|subscription)[-_]?key|credential"
        r"|connection[-_]?string|canary)[\w.-]{0,40}[\"']?\s{0,3}[=:]\s{0,3}[\"']?)[^\s\"',;]{3,}",
        _IGNORE,
    ),
    re.compile(r"([a-z]Key[\"']?\s{0,3}[=:]\s{0,3}[\"']?)[^\s\"',;]{3,}"),  # primaryKey, InstrumentationKey
    re.compile(r"(\b(?:bearer|basic)\s{1,3})[A-Za-z0-9._~+/=-]{8,}", _IGNORE),
    re.compile(r"(\bcookie:\s{0,3}[\w.-]{1,60}=)[^\s;]{3,}", _IGNORE),
    re.compile(r"(\"auth\"\s{0,3}:\s{0,3}\")[^\"]{3,}"),  # of a container registry, in docker's settings
    # --password value, -u user:value.
    re.compile(
        r"((?<!\S)--(?:\w{1,20}-){0,3}(?:password|secret|token|key)\s{1,3}|(?<!\S)(?:-u|--user)\s{1,3}[^\s:]{1,80}:)(?!-)\S{3,}",
        _IGNORE,
    ),
    re.compile(r"()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),  # a JSON web token
    # What its beginning gives away: AWS, GitHub, GitLab, Hugging Face, Slack, OpenAI, Google, Databricks, PyPI, npm, Entra.
    re.compile(
        r"()\b(?:A[KS]IA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|hf_[A-Za-z0-9]{20,}"
        r"|xox[abprs]-[\w-]{10,}|sk-[\w-]{20,}|AIza[\w-]{30,}|dapi[0-9a-f]{32}|pypi-[\w-]{20,}|npm_[A-Za-z0-9]{30,}"
        r"|\w{3}[78]Q~[\w.~-]{30,})"
    ),
    re.compile(r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----).*?(?=-----END|\Z)", re.DOTALL),
    re.compile(
        r"()^(?:[A-Za-z0-9+/=]{16,80}+\s{1,4}+){1,200}+(?=-----END [A-Z ]{0,40}PRIVATE KEY)", re.MULTILINE
    ),  # whose beginning was cut off
    re.compile(r"()(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{86}==(?![A-Za-z0-9+/=])"),  # a storage account's key
    re.compile(r"(://[^/\s:@]{0,80}:)[^/\s@]{1,200}(?=@)"),  # user:password@host
    re.compile(r"(https?://)[^/\s:@]{8,200}(?=@)"),  # token@host
)


def masked(text: str) -> str:
    """The text with what looks like a secret replaced. A net, not a promise: logs should hold none."""
    for pattern in _SECRETS:
        text = pattern.sub(lambda found: f"{found[1]}{MASK}", text)
    return text


def plain(text: str) -> str:
    """The text as a terminal would have left it: without colours, and of a line that rewrites itself its last state."""
    uncoloured = _ESCAPES.sub("", text)
    return "\n".join(each.rstrip("\r").rpartition("\r")[2] for each in uncoloured.split("\n"))


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
