"""Buttons of mails: links that say what they do, for what, until when, and that we made them. They decide nothing.

Mail scanners open every link, and some run what is behind it (headless browsers). So a GET only shows what would be done; the
POST of a person does it. What a link allows is mild and can be undone: a pause of mails, one more run. The link to an approval
allows to read what is to be approved; deciding takes a verified person besides.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import hmac
import urllib.parse
from typing import Literal, get_args

from tidegate.errors import MalformedEvent, Refused

type Action = Literal["mute", "resubmit", "log", "approve"]
ACTIONS: tuple[Action, ...] = get_args(Action.__value__)

LIFE = datetime.timedelta(hours=72)
LEAST_KEY = 32
"""Characters of the key that signs."""


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """What a link is for."""

    action: Action
    subject: str
    """Id of an incident, name of a run with its workspace, name of a piece of evidence, `<stage>/<key of a delivery>`."""
    expires: int
    """Unix time, seconds."""


def url(base: str, key: str, action: Action, subject: str, now: datetime.datetime) -> str:
    """The address of a button; nothing without a base or a key that is long enough."""
    if not base or len(key) < LEAST_KEY:
        return ""
    link = Link(action, subject, int((now + LIFE).timestamp()))
    query = urllib.parse.urlencode({"subject": subject, "expires": link.expires, "signature": _signature(key, link)})
    return f"{base.rstrip('/')}/api/actions/{action}?{query}"


def check(key: str, action: str, query: dict[str, str], now: datetime.datetime) -> Link:
    """The link that a query holds. MalformedEvent: it is none of ours. Refused: it is too old."""
    known = next((each for each in ACTIONS if each == action), None)
    expires = query.get("expires", "")
    if known is None or len(key) < LEAST_KEY or not (expires.isascii() and expires.isdigit() and len(expires) < 12):
        raise MalformedEvent("link: not a link of this installation")
    link = Link(known, query.get("subject", ""), int(expires))
    if not hmac.compare_digest(_signature(key, link).encode(), query.get("signature", "").encode()):
        raise MalformedEvent("link: its signature is not ours")
    if link.expires < now.timestamp():
        raise Refused("link: it has expired; a newer mail has a newer one")
    return link


def _signature(key: str, link: Link) -> str:
    message = "\n".join((link.action, link.subject, str(link.expires)))
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()
