"""Registers an export in Azure ML with its lineage, so that the workspace's ModelRegistered event follows.

`python -m trainer.register <export> --name horses` as the identity of whoever calls; in a job of Azure ML the workspace comes
from the job's environment. Unverified against live Azure: which of a job's own properties the service adds to the model.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.manifest import verify


@dataclasses.dataclass(frozen=True, slots=True)
class Registered:
    """What the workspace knows now."""

    name: str
    version: str
    id: str


def register(
    export: Path, name: str, client: Any, *, uri: str = "", environment: Mapping[str, str] = os.environ
) -> Registered:
    """Register the export's folder under the next version of `name`.

    `uri` is where the folder already lies (a job's output or a datastore path); without it the files are uploaded. The export
    is verified first: a model whose files are not what was exported is never registered. Registering the same export twice
    gives the version that has its digest: a job that is resumed after an eviction registers once.
    """
    from azure.ai.ml.entities import Model

    manifest = verify(export)
    for known in client.models.list(name=name):
        if (known.properties or {}).get("digest") == manifest["digest"]:
            return Registered(known.name, str(known.version), str(known.id))
    properties, tags = lineage(manifest, environment)
    model = Model(name=name, path=uri or str(export), type="custom_model", properties=properties, tags=tags)
    made = client.models.create_or_update(model)
    return Registered(made.name, str(made.version), str(made.id))


def keep_as_champion(export: Path, folder: Path) -> None:
    """A copy for `trainer.champion`: what the next challenger has to beat. Idempotent.

    The manifest goes first and comes last, so that a copy that was cut off is found out; the step that made it is run again.
    """
    manifest = Path("manifest.json")
    (folder / manifest).unlink(missing_ok=True)
    files = [path.relative_to(export) for path in sorted(export.rglob("*")) if path.is_file()]
    for place in [each for each in folder.rglob("*") if each.is_file() and each.relative_to(folder) not in files]:
        place.unlink()
    for path in (*(each for each in files if each != manifest), manifest):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(export / path, folder / path)  # a share may refuse modes and times


def lineage(manifest: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Properties, which nobody can change later: where it comes from. Tags: what people search for."""
    properties = {
        "digest": manifest["digest"],
        "state": manifest["state"],
        "data": manifest["data"],
        "image": manifest["image"],
        "revision": manifest["revision"],
        "run": environment.get("AZUREML_RUN_ID", ""),
        "exact": "yes" if manifest["exact"] else "no",
        **{f"metrics.{key}": repr(value) for key, value in manifest["metrics"].items()},
    }
    tags = {"model": manifest["model"], "config": manifest["config"]["name"], "framework": "tensorflow"}
    return {key: str(value) for key, value in properties.items() if value}, tags


def workspace_client(environment: Mapping[str, str] = os.environ, **options: Any) -> Any:
    """The workspace that the job runs in: Azure ML sets the three names in a job's environment."""
    from azure.ai.ml import MLClient
    from azure.identity import DefaultAzureCredential

    names = ("AZUREML_ARM_SUBSCRIPTION", "AZUREML_ARM_RESOURCEGROUP", "AZUREML_ARM_WORKSPACE_NAME")
    missing = [each for each in names if not environment.get(each)]
    if missing:
        raise SystemExit(f"not in a job of Azure ML: set {', '.join(missing)}")
    return MLClient(DefaultAzureCredential(), *(environment[each] for each in names), **options)


def main(arguments: Sequence[str] | None = None, client: Any = None) -> int:
    """Prints `<name>:<version>`. `client`: by default that of the workspace that the job runs in."""
    parser = argparse.ArgumentParser(prog="python -m trainer.register", description=__doc__)
    parser.add_argument("export", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--uri", default="", help="where the folder lies already, as azureml://...")
    parser.add_argument("--decision", type=Path, help="what trainer.champion wrote: register only if it says so")
    parser.add_argument(
        "--champion", type=Path, help="folder that gets a copy, for the next challenger to be compared with"
    )
    options = parser.parse_args(arguments)
    if options.decision and not json.loads(options.decision.read_text())["promote"]:
        sys.stdout.write("not registered: the champion stays\n")
        return 0
    made = register(options.export, options.name, client or workspace_client(), uri=options.uri)
    if options.champion:
        keep_as_champion(options.export, options.champion)
    sys.stdout.write(f"{made.name}:{made.version}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
