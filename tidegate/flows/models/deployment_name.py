"""The name of a version's deployment: a function of model and version alone, so asking twice never makes a second one."""

from __future__ import annotations

import hashlib
import re

LONGEST = 32
"""Characters; 3-32 letters, digits and -, beginning with a letter (azure-docs: how-to-deploy-online-endpoints)."""
_HASH = 12
"""Hex digits, 48 bits: among a million versions on one endpoint two share a name with a chance of 1 in 560."""
_VERSION = 8
"""Characters of the version that are shown at most."""

_OTHER = re.compile(r"[^a-z0-9]+")


def deployment_name(model: str, version: str) -> str:
    """What people recognise of model and version, and a hash of the whole of both: `digits-7-0f3c5a1b9d24`."""
    digest = hashlib.sha256(f"{model}:{version}".encode()).hexdigest()[:_HASH]  # neither has a colon: references.py
    tail = _plain(version)[:_VERSION].strip("-")
    rest = f"-{tail}-{digest}" if tail else f"-{digest}"
    head = _plain(model)
    if not head or not head[0].isalpha():
        head = f"m-{head}" if head else "m"
    return f"{head[: LONGEST - len(rest)].rstrip('-')}{rest}"


def _plain(text: str) -> str:
    """In lower case, since Azure compares names of resources without it; everything else is a hyphen."""
    return _OTHER.sub("-", text.lower()).strip("-")
