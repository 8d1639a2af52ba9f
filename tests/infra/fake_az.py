"""Stand-ins of `az` and `azd` that write down how they were called, and a way to run scripts with them."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path

from tests.infra.conftest import ROOT

AZ = """#!/bin/bash
printf '%s\\n' "$*" >>"$AZ_CALLS"
(IFS=$'\\x1f'; printf '%s\\n' "$*" >>"$AZ_CALLS.arguments")
case "$*" in
    *'rest --method get'*) [ -z "${AZ_FAILS:-}" ] || exit 1; echo '{"value": []}' ;;
    'group exists'*) echo "${AZ_GROUP:-false}" ;;
    'resource list'*resource-type*tsv) echo /w ;;
    'resource list'*tsv)
        [ -z "${AZ_LEFT:-}" ] || { cat "$AZ_LEFT"; [ -n "${AZ_STUCK:-}" ] || : >"$AZ_LEFT"; } ;;
    'resource list'*) echo '[{"id": "/w", "name": "w"}]' ;;
    'resource delete'*) [ -z "${AZ_STUCK:-}" ] || exit 1 ;;
    *'--mode Complete'*) [ -z "${AZ_INCOMPLETE:-}" ] || exit 1 ;;
    *'event-subscription list'*) echo "${AZ_SUBSCRIPTIONS:-0}" ;;
    'keyvault list-deleted'*) [ -z "${AZ_VAULTS_FAIL:-}" ] || exit 1; echo "${AZ_DELETED_VAULTS:-0}" ;;
    'account show'*) [ -z "${AZ_SIGNED_OUT:-}" ] || exit 1; echo '{"id": "s"}' ;;
    'lock list'*) echo /locks/l ;;
    'role assignment list'*) echo /grants/g ;;
    'deployment sub validate'*query*) echo '[]' ;;
    *'query properties.outputs '*)
        echo '{"azurE_RESOURCE_GROUP": {"value": "rg"}, "eventS_APP_NAME": {"value": "e"},'
        echo '"apI_APP_NAME": {"value": "a"}, "vaulT_NAME": {"value": "kv"},'
        echo '"staginG_REGISTRY": {"value": "st"}, "healthY_REGISTRY": {"value": "he"}}' ;;
    'provider list'* | 'vm list'*) echo '[]' ;;
    'bicep build'*)
        [ -z "${AZ_BICEP_SAYS:-}" ] || echo "$AZ_BICEP_SAYS" >&2
        exit "${AZ_BICEP_ENDS:-0}" ;;
    *) echo '{}' ;;
esac
"""

AZD = """#!/bin/bash
printf 'azd %s\\n' "$*" >>"$AZ_CALLS"
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """What became of a script, and what it asked for."""

    code: int
    calls: list[str]
    error: str
    output: str
    arguments: list[list[str]]
    """The same calls of `az`, argument by argument."""


def install(folder: Path, az: str = AZ) -> Path:
    """Put both stand-ins into a folder."""
    for name, text in (("az", az), ("azd", AZD)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def run(folder: Path, *arguments: str | Path, typed: str = "", **environ: str) -> Run:
    """Run a script with the stand-ins of a folder before everything else on the path."""
    calls, separated = folder / "calls", folder / "calls.arguments"
    calls.write_text("")
    separated.write_text("")
    path = f"{folder}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [str(each) for each in arguments],
        env={"PATH": path, "AZ_CALLS": str(calls), "HOME": str(folder), **environ},
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )
    asked = [line.split("\x1f") for line in separated.read_text().splitlines()]
    return Run(done.returncode, calls.read_text().splitlines(), done.stderr, done.stdout, asked)
