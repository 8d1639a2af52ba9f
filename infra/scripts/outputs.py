"""Prints outputs of an environment's deployment, one a line, in the order asked for.

python -m infra.scripts.outputs ENVIRONMENT NAME ...
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from infra.scripts.azure_cli import AzureCliError, ask


def outputs(environment: str, az: Callable[[Sequence[str]], Any] = ask) -> dict[str, str]:
    """Outputs by their names in main.bicep: Azure gives them back with the case of some letters changed."""
    command = ["deployment", "sub", "show", "--name", f"tidegate-{environment}", "--query", "properties.outputs"]
    return {name.upper(): each["value"] for name, each in az(command).items()}


def main(environment: str, names: Sequence[str], az: Callable[[Sequence[str]], Any] = ask) -> int:
    try:
        found = outputs(environment, az)
        sys.stdout.write("".join(f"{found[name]}\n" for name in names))
    except (AzureCliError, KeyError) as error:
        again = f"infra/scripts/deploy deploy {environment}"
        sys.stderr.write(f"outputs: {environment} has no {error}; deploy it with this version first: {again}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
