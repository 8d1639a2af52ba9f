"""What a data scientist does with the local stack: submits jobs, sees what becomes of them, reads mail."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from local import world
from local.site import Site, send

_ARM = "management.azure.com"


def job_path(workspace: str, name: str = "") -> str:
    """Path of a workspace's jobs, or of one of them, at ARM."""
    group = f"/subscriptions/{world.SUBSCRIPTION}/resourceGroups/{world.RESOURCE_GROUP}"
    jobs = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{workspace}/jobs"
    return f"{jobs}/{name}" if name else jobs


def submit(site: Site, workspace: str, name: str, command: str, **properties: Any) -> None:
    """Put a command job; `compute` and `environment` name what the workspace has. RuntimeError: it is refused."""
    compute, environment = properties.pop("compute", "cpu"), properties.pop("environment", "plain/versions/1")
    compute_id = job_path(workspace).replace("/jobs", f"/computes/{compute}")
    body = {
        "properties": {
            "jobType": "Command",
            "command": command,
            "computeId": compute_id,
            "displayName": name,
            "experimentName": "Default",
            "environmentId": job_path(workspace).replace("/jobs", f"/environments/{environment}"),
            "tags": {},
            "properties": {},
            "isArchived": False,
            **properties,
        }
    }
    answer = arm(site, "PUT", job_path(workspace, name), body)
    if answer[0] not in (200, 201):
        raise RuntimeError(f"job {name}: {answer}")


def environment(site: Site, workspace: str, name: str, image: str) -> str:
    """Register an environment that is an image; gives what `submit` names it by. RuntimeError: it is refused."""
    place = f"{name}/versions/1"
    path = job_path(workspace).replace("/jobs", f"/environments/{place}")
    answer = arm(site, "PUT", path, {"properties": {"image": image}})
    if answer[0] not in (200, 201):
        raise RuntimeError(f"environment {name}: {answer}")
    return place


def job(site: Site, workspace: str, name: str) -> dict[str, Any] | None:
    """The job's properties; None: there is none."""
    status, body = arm(site, "GET", job_path(workspace, name))
    return body["properties"] if status == 200 else None


def evict(site: Site, workspace: str, name: str) -> None:
    """Take the job's node away. RuntimeError: its compute is dedicated, or it does not run."""
    answer = site.cloud("POST", f"/admin/jobs/{workspace}/{name}/evict")
    if answer.status != 200:
        raise RuntimeError(f"evict {name}: {answer.status} {answer.body.decode(errors='replace')}")


def log(site: Site, workspace: str, name: str) -> str:
    """What the job wrote, once it has ended; empty before."""
    file = site.stack.state / "cloud" / "machine-learning" / "logs" / workspace / f"{name}.txt"
    return file.read_text(errors="replace") if file.exists() else ""


def mails(site: Site, containing: str) -> list[dict[str, str]]:
    """Mails with a text in their subject or body, oldest first."""
    every: list[dict[str, str]] = site.cloud("GET", "/admin/mailbox").json()["mails"]
    return [each for each in every if containing in each["subject"] or containing in each["text"]]


def until[T](look: Callable[[], T | None], within: float) -> T | None:
    """What `look` finds, as soon as it finds something; None after `within` seconds."""
    end = time.monotonic() + within
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.1)
    return found or None


def arm(site: Site, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """A call at ARM, as somebody who may do everything: the status and the JSON."""
    cloud = f"http://127.0.0.1:{site.stack.ports.cloud}"
    identity = f"{cloud}/msi/token?api-version=2019-08-01&resource=https://management.azure.com"
    token = send("GET", identity, None, {"X-IDENTITY-HEADER": "local"}).json()["access_token"]
    data = None if body is None else json.dumps(body).encode()
    headers = {"Host": _ARM, "Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = send(method, f"{cloud}{path}?api-version=2025-01-01-preview", data, headers)
    return answer.status, json.loads(answer.body) if answer.body else None
