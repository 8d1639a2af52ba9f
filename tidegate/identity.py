"""Who asks: what a request shows, and the person that follows from it. Nothing a client merely states counts.

A person is a verified Entra token, or an API key, which the setting that names it knows by its SHA-256. The keys of the Functions
host are not used: the host does not tell a Python function which of them it matched (the worker drops `RpcHttp.identities`, where
their names are). `X-MS-CLIENT-PRINCIPAL` is never read: it is a header like any other to whoever reaches the process
(azure-functions-host, AuthenticationLevelHandler.cs, does not verify it).
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from tidegate.errors import Forbidden, MalformedEvent, NotSignedIn

_HOLDER = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_ROLE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}\Z")

OPERATOR = "Operator"
"""App role of those who may hold, release and roll back everything, promote what its gate refused, and replay dead letters."""


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """Somebody who was identified."""

    id: str
    """`<tenant id>/<object id>` of a token, `key:<name>` of an API key. Never changes, and no client can choose it."""
    name: str
    """For people to read: a sign-in name, or a client id. An account keeps its id when it gets another name."""
    roles: tuple[str, ...]
    """App roles of the token, or those a setting gives the key."""
    by: Literal["token", "key"]


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """What a request shows of its sender, as it came."""

    bearer: str = dataclasses.field(default="", repr=False)
    """Token of `Authorization: Bearer`; `?` for an Authorization header of another kind."""
    session: str = dataclasses.field(default="", repr=False)
    """ID token that App Service's sign-in passes on for a browser's session: ambient, as the cookie behind it is."""
    key: str = dataclasses.field(default="", repr=False)
    origin: str = ""
    """Origin header: the site whose page sent it."""
    site: str = ""
    """Sec-Fetch-Site header, which pages cannot set."""
    is_look: bool = False
    """Whether the request's method changes nothing (RFC 9110, 9.2.1)."""

    @property
    def is_ambient(self) -> bool:
        """Whether a browser sent it by itself, so that another site's page may be behind the request."""
        return bool(self.session) and not self.bearer


@dataclasses.dataclass(frozen=True, slots=True)
class KeyHolder:
    """An API key, and whose it is."""

    name: str
    sha256: str
    """Of the key, in hexadecimal."""
    roles: tuple[str, ...]


class Tokens(Protocol):
    """Verifies tokens."""

    def verified(self, token: str) -> Person:
        """The person of a token. NotSignedIn: it proves nothing here. TransientError: the signing keys cannot be read."""


@dataclasses.dataclass(frozen=True, slots=True)
class People:
    """Identifies the senders of requests."""

    tokens: Tokens
    holders: Sequence[KeyHolder] = ()
    origin: str = ""
    """Our own site, `https://<host>`: only its pages speak for a browser's session."""

    def identify(self, shown: Shown) -> Person:
        """By token, else by key. NotSignedIn: neither; or a token or key that is not good, whatever else there is.

        Forbidden: a browser's session, and another site's page may be behind the change (cross-site request forgery). What is
        only looked at needs no such check: the browser keeps the answer from that page.
        """
        if shown.is_ambient and not shown.is_look and not self._is_ours(shown):
            raise Forbidden("Origin: a browser's session counts only for requests of this site's own pages")
        if token := shown.bearer or shown.session:
            return self.tokens.verified(token)
        if shown.key:
            return self._holder(shown.key)
        raise NotSignedIn("sign in: show a token (Authorization: Bearer) or an API key (X-Api-Key)")

    def _is_ours(self, shown: Shown) -> bool:
        if shown.origin:
            return bool(self.origin) and shown.origin == self.origin
        return shown.site == "same-origin"

    def _holder(self, key: str) -> Person:
        """A hash cannot be guessed to match: no comparison here needs constant time."""
        digest = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
        for holder in self.holders:
            if holder.sha256 == digest:
                return Person(f"key:{holder.name}", f"key {holder.name}", holder.roles, "key")
        raise NotSignedIn("X-Api-Key: no such key; a key is known by its hash, in the setting TIDEGATE_API_KEYS")


def shown(headers: Mapping[str, str], method: str = "POST") -> Shown:
    """What a request shows. A key is taken from its header alone: addresses are logged."""
    lower = {name.lower(): value for name, value in headers.items()}
    authorization = lower.get("authorization", "").strip()
    scheme, _, token = authorization.partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return Shown(
        bearer=bearer or ("?" if authorization else ""),
        session=lower.get("x-ms-token-aad-id-token", "").strip(),
        key=lower.get("x-api-key", "").strip(),
        origin=lower.get("origin", "").strip(),
        site=lower.get("sec-fetch-site", "").strip(),
        is_look=method.upper() in ("GET", "HEAD"),
    )


def require_role(person: Person, roles: Sequence[str], what: str) -> None:
    """Forbidden names the roles of which one is needed."""
    if not set(roles) & set(person.roles):
        has = ", ".join(person.roles) or "none"
        raise Forbidden(f"role: {what} needs {' or '.join(roles)}; {person.name} has {has}")


def key_holders(text: str, where: str) -> tuple[KeyHolder, ...]:
    """`name:sha256:role,role` for every key, separated by `;`. MalformedEvent says what is wrong with which."""
    holders = [_holder(each.strip(), where) for each in text.split(";") if each.strip()]
    if len({each.name for each in holders}) < len(holders) or len({each.sha256 for each in holders}) < len(holders):
        raise MalformedEvent(f"{where}: a name or a hash occurs twice")
    return tuple(holders)


def _holder(entry: str, where: str) -> KeyHolder:
    name, _, rest = entry.partition(":")
    digest, _, listed = rest.partition(":")
    roles = tuple(filter(None, (role.strip() for role in listed.split(","))))
    if not _HOLDER.match(name):
        raise MalformedEvent(f"{where}: the name of a key is 1-40 of a-z, 0-9 and -")
    if not _HASH.match(digest):
        raise MalformedEvent(f"{where}: {name}: not the SHA-256 of a key, 64 of 0-9 and a-f")
    if not all(_ROLE.match(role) for role in roles):
        raise MalformedEvent(f"{where}: {name}: roles are like Operator or Approver.pro, separated by commas")
    return KeyHolder(name, digest, roles)
