"""Globs over names: matched in linear time, and compared, to see gates that are never reached."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
import string

from tidegate.gates.problems import shown

type Token = frozenset[str] | str
"""One character out of a set, or one of the two stars."""
type Tokens = tuple[Token, ...]

STAR = "*"
"""Any run of characters without `/`."""
GLOBSTAR = "**"
"""Any run of characters."""

# What names are made of: OCI distribution specification 1.1, "Pulling manifests"; those of models have the letters of tags.
_REPOSITORY = frozenset(string.ascii_lowercase + string.digits + "._-/")
_TAG = frozenset(string.ascii_letters + string.digits + "._-")
_STEP = re.compile(r"(?P<stars>\*+)|(?P<any>\?)|\[(?P<negated>!?)(?P<members>[^\]]*)\]|(?P<one>.)", re.DOTALL)
_BRACES = re.compile(r"\{([^{}]*)\}")
_MAX_ALTERNATIVES = 64


@dataclasses.dataclass(frozen=True, slots=True)
class Glob:
    """`*` and `?` stop at `/`, `**` does not; `[abc]`, `[a-z]`, `[!abc]` and `{this,that}`."""

    text: str
    alternatives: tuple[Tokens, ...] = dataclasses.field(repr=False)

    def matches(self, name: str) -> bool:
        """Whether the whole name is matched. Linear in the name: no backtracking, whatever the glob."""
        letters = tuple(frozenset(letter) for letter in name)
        return any(_takes(tokens, letters) for tokens in self.alternatives)

    def covers(self, other: Glob) -> bool:
        """True only if this glob matches all that `other` does; a difficult pair may be missed, never invented."""
        return all(any(_takes(mine, theirs) for mine in self.alternatives) for theirs in other.alternatives)


def repository_glob(text: str) -> Glob:
    """A glob over repository names, or ValueError with the rule it breaks."""
    for plain in (glob := _glob(text, "repository", _REPOSITORY)).alternatives:
        if _edge(plain) == "/" or _edge(plain[::-1]) == "/" or _has_double_slash(plain):
            raise ValueError(f"{shown(text)} never matches: a repository does not begin or end with / and has no //")
    return glob


def tag_glob(text: str) -> Glob:
    """A glob over tags, or ValueError with the rule it breaks."""
    return _glob(text, "tag", _TAG)


def model_glob(text: str) -> Glob:
    """A glob over names of models, or ValueError with the rule it breaks."""
    return _glob(text, "model", _TAG)


def _glob(text: str, kind: str, alphabet: frozenset[str]) -> Glob:
    choices = [[_tokens(plain, text, kind, alphabet) for plain in part] for part in _parts(text)]
    if math.prod(map(len, choices)) > _MAX_ALTERNATIVES:
        raise ValueError(f"{shown(text)}: braces give more than {_MAX_ALTERNATIVES} alternatives")
    combinations = itertools.product(*choices)
    alternatives = tuple(dict.fromkeys(tuple(itertools.chain(*combination)) for combination in combinations))
    for tokens in alternatives:
        if not tokens:
            raise ValueError(f"{shown(text)} never matches: a {kind} is not empty; write ** to match everything")
        if (first := _edge(tokens)) in {".", "-"} or (first == "_" and kind != "tag"):
            raise ValueError(f"{shown(text)} never matches: no {kind} begins with {first}")
    return Glob(text, alternatives)


def _parts(text: str) -> list[list[str]]:
    """The glob cut at its braces: what may stand in each place."""
    parts = _BRACES.split(text)  # plain, inside braces, plain, ...
    if any("{" in plain or "}" in plain for plain in parts[::2]):
        raise ValueError(f"{shown(text)}: braces must be closed and cannot be nested")
    if any(part.count("[") != part.count("]") for part in parts):
        raise ValueError(f"{shown(text)}: every [ needs its ], and braces stay outside of them")
    return [part.split(",") if index % 2 else [part] for index, part in enumerate(parts)]


def _tokens(plain: str, text: str, kind: str, alphabet: frozenset[str]) -> Tokens:
    return tuple(_token(step, text, kind, alphabet) for step in _STEP.finditer(plain))


def _token(step: re.Match[str], text: str, kind: str, alphabet: frozenset[str]) -> Token:
    if stars := step["stars"]:
        if len(stars) > len(GLOBSTAR):
            raise ValueError(f"{shown(text)}: {stars} has no meaning; write * (stops at /) or ** (does not)")
        return stars if "/" in alphabet else STAR
    if step["any"]:
        return alphabet - {"/"}
    if step["members"] is not None:
        _check_letters(set(step["members"]) - {"-"}, text, kind, alphabet - {"/"})
        members = _members(step["members"], text)
        _check_letters(members, text, kind, alphabet - {"/"})
        return _but(members, text, alphabet - {"/"}) if step["negated"] else members
    if step["one"] in {"[", "]"}:
        raise ValueError(f"{shown(text)}: every [ needs its ], and braces stay outside of them")
    _check_letters({step["one"]}, text, kind, alphabet)
    return frozenset(step["one"])


def _members(written: str, text: str) -> frozenset[str]:
    """The characters of `[...]`: single ones, and ranges such as a-z."""
    if not written:
        raise ValueError(f"{shown(text)}: [] holds no character")
    members: set[str] = set()
    for first, last in re.findall(r"(.)(?:-(.))?", written, re.DOTALL):
        if last and last < first:
            raise ValueError(f"{shown(text)}: the range {first}-{last} is backwards")
        members.update(map(chr, range(ord(first), ord(last or first) + 1)))
    return frozenset(members)


def _but(members: frozenset[str], text: str, alphabet: frozenset[str]) -> frozenset[str]:
    if others := alphabet - members:
        return others
    raise ValueError(f"{shown(text)} never matches: [!...] excludes every character")


def _check_letters(letters: set[str] | frozenset[str], text: str, kind: str, alphabet: frozenset[str]) -> None:
    strange = sorted(letters - alphabet)
    if not strange:
        return
    if kind == "repository" and strange[0].isupper():
        raise ValueError(f"{shown(text)} never matches: repositories are lower-case")
    raise ValueError(f"{shown(text)} never matches: no {kind} has the character {strange[0]!r} there")


def _edge(tokens: Tokens) -> str:
    """The one character the first token stands for, if it stands for one."""
    first = tokens[0]
    return next(iter(first)) if isinstance(first, frozenset) and len(first) == 1 else ""


def _has_double_slash(tokens: Tokens) -> bool:
    slash = frozenset("/")
    return (slash, slash) in itertools.pairwise(tokens)


def _takes(tokens: Tokens, given: Tokens) -> bool:
    """Whether `tokens` accepts `given`: a name as one-letter sets, or another glob, taken for all it stands for."""
    states = _with_skipped_stars(tokens, {0})
    for token in given:
        states = _with_skipped_stars(tokens, {after for state in states for after in _step(tokens, state, token)})
    return len(tokens) in states


def _with_skipped_stars(tokens: Tokens, states: set[int]) -> set[int]:
    """A star may stand for nothing."""
    reached = set(states)
    for state in states:
        following = itertools.takewhile(lambda place: isinstance(tokens[place], str), range(state, len(tokens)))
        reached.update(place + 1 for place in following)
    return reached


def _step(tokens: Tokens, state: int, given: Token) -> tuple[int, ...]:
    if state == len(tokens):
        return ()
    match tokens[state], given:
        case "**", _:
            return (state,)
        case "*", "*":
            return (state,)
        case "*", frozenset() as letters if "/" not in letters:
            return (state,)
        case frozenset() as mine, frozenset() as letters if letters <= mine:
            return (state + 1,)
        case _:
            return ()
