"""Asks the `az` command line for JSON: who deploys has it, and is signed in."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class AzureCliError(Exception):
    """`az` refused; the message is its own."""


def ask(arguments: Sequence[str]) -> Any:
    """The answer of `az ARGUMENTS` as JSON. AzureCliError: it has none."""
    done = subprocess.run(["az", *arguments, "--output", "json"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AzureCliError(f"az {' '.join(arguments[:3])}: {done.stderr.strip() or 'no message'}")
    return json.loads(done.stdout or "null")


def listed(url: str, az: Callable[[Sequence[str]], Any] = ask) -> list[Mapping[str, Any]]:
    """Everything that a list of the resource manager has, page by page."""
    found: list[Mapping[str, Any]] = []
    while url:
        page = az(["rest", "--method", "get", "--url", url])
        found += page["value"]
        url = page.get("nextLink") or ""
    return found
