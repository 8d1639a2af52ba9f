"""How the container of a group becomes a process: its variables, its command, its volumes, and the inference server's command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.cloud.core import Options
from local.cloud.errors import ArmError
from local.cloud.ml_server import SERVING, Launch
from local.environment import client_environment

_GIB = 2**30
_SERVER = """\
#!{python}
# The inference server's own command line, which binds every address, on the loopback and the port of this process.
import os
import sys

from azureml_inference_server_http import constants

constants.DEFAULT_HOST = "127.0.0.1"
arguments = sys.argv[1:]
while "--port" in arguments:
    at = arguments.index("--port")
    del arguments[at : at + 2]
sys.argv[1:] = [*arguments, "--port", os.environ["SERVER_PORT"]]

from azureml_inference_server_http.amlserver import run

run()
"""


def container_of(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one container's properties. ArmError 400: what cannot be run here, or is no container."""
    containers = list(properties.get("containers") or ())
    if len(containers) != 1 or properties.get("initContainers"):
        raise ArmError(400, "InvalidContainers", "The local stack runs groups of exactly one container.")
    found: Mapping[str, Any] = containers[0].get("properties") or {}
    if not found.get("image"):
        raise ArmError(400, "InvalidImage", "The container has no image.")
    for volume in properties.get("volumes") or ():
        if "emptyDir" not in volume:
            raise ArmError(400, "InvalidVolumes", f"The volume '{volume.get('name')}' is no emptyDir.")
    memory_of(found)
    return found


def memory_of(container: Mapping[str, Any]) -> int:
    """Bytes that it asks for."""
    requests = (container.get("resources") or {}).get("requests") or {}
    try:
        return int(float(requests["memoryInGB"]) * _GIB)
    except (KeyError, TypeError, ValueError) as error:
        raise ArmError(400, "InvalidResources", "The container asks for no memoryInGB.") from error


def launch(folder: Path, container: Mapping[str, Any], options: Options) -> Launch:
    """Make the folders of the volumes below `folder`, and say how the process is started."""
    places = {}
    for mount in container.get("volumeMounts") or ():
        place = folder / "volumes" / Path(str(mount["name"])).name
        place.mkdir(parents=True, exist_ok=True)
        places[str(mount["mountPath"]).rstrip("/")] = str(place)

    def placed(text: str) -> str:
        for path, place in places.items():
            text = text.replace(path, place)
        return text

    variables = _azure(options)
    for each in container.get("environmentVariables") or ():
        variables[str(each["name"])] = placed(str(each.get("secureValue") or each.get("value") or ""))
    command = tuple(placed(str(part)) for part in container.get("command") or ())
    _write_server(folder / "bin" / "azmlinfsrv")
    return Launch(folder, variables, memory_of(container), command=command)


def _azure(options: Options) -> dict[str, str]:
    """What reaches Azure's host names; no identity, because a group's own one has no address on this machine."""
    if not options.front_port or options.bundle is None:
        return {}
    known = client_environment(front_port=options.front_port, cloud_port=0, bundle=options.bundle.resolve())
    return {name: value for name, value in known.items() if not name.startswith("IDENTITY_")}


def _write_server(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_SERVER.replace("{python}", str(SERVING / "bin/python")))
    path.chmod(0o755)
