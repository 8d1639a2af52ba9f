"""Prints the traffic of every online endpoint of a resource group, for the template to hand through unchanged.

python -m infra.scripts.traffic RESOURCE_GROUP
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from infra.scripts.azure_cli import AzureCliError, ask, listed

_VERSION = "api-version=2025-12-01"


def traffic(group: str, az: Callable[[Sequence[str]], Any] = ask) -> dict[str, dict[str, int]]:
    """Percent by deployment, by endpoint; empty for a group that does not exist yet."""
    if not az(["group", "exists", "--name", group]):
        return {}
    found: dict[str, dict[str, int]] = {}
    kind = "Microsoft.MachineLearningServices/workspaces"
    for workspace in az(["resource", "list", "--resource-group", group, "--resource-type", kind]):
        endpoints = listed(f"{workspace['id']}/onlineEndpoints?{_VERSION}", az)
        found |= {each["name"]: each["properties"].get("traffic") or {} for each in endpoints}
    return found


def main(group: str) -> int:
    try:
        sys.stdout.write(json.dumps(traffic(group)) + "\n")
    except AzureCliError as error:
        sys.stderr.write(f"traffic: it cannot be read, and without it endpoints would lose theirs; {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
