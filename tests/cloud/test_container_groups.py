"""Container groups that serve: as processes, at an address of their own, by plain HTTP through the front."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests

from local import world
from tests.cloud.ml_world import SCRIPT, Workspace
from tests.cloud.world import eventually

pytestmark = pytest.mark.stack

BOOT = """
import os, pathlib
place = pathlib.Path(os.environ["AZUREML_MODEL_DIR"])
(place / "score.py").write_text(os.environ.pop("SCRIPT"))
os.execvp("azmlinfsrv", ["azmlinfsrv", "--entry_script", str(place / "score.py"), "--port", "5001"])
"""
"""Writes the scoring script into the group's volume, as one that fetches a model would, and becomes the server."""

type Call = Callable[..., requests.Response]


@pytest.fixture
def call(workspace: Workspace) -> Call:
    """One call of ARM about a container group."""

    def send(method: str, name: str, body: Any = None, after: str = "", **query: str) -> requests.Response:
        token = workspace.credential.get_token("https://management.azure.com/.default").token
        provider = f"{world.GROUP_ID}/providers/Microsoft.ContainerInstance/containerGroups"
        url = f"https://management.azure.com{provider}/{name}{after}"
        headers = {"Authorization": f"Bearer {token}"}
        query = {"api-version": "2025-09-01", **query}
        return workspace.session.request(method, url, params=query, json=body, headers=headers, timeout=30)

    return send


def body(name: str, script: str = SCRIPT, memory: float = 1.5) -> dict[str, Any]:
    container = {
        "image": "mcr.microsoft.com/scoring:1",
        "command": ["python", "-c", BOOT],
        "environmentVariables": [
            {"name": "AZUREML_MODEL_DIR", "value": "/var/model"},
            {"name": "ANSWER", "value": "from a group"},
            {"name": "SCRIPT", "secureValue": script},
        ],
        "resources": {"requests": {"cpu": 1, "memoryInGB": memory}},
        "volumeMounts": [{"name": "model", "mountPath": "/var/model"}],
    }
    address = {"type": "Public", "dnsNameLabel": name, "ports": [{"protocol": "TCP", "port": 5001}]}
    volumes = [{"name": "model", "emptyDir": {}}]
    containers = [{"name": "scoring", "properties": container}]
    properties = {"osType": "Linux", "containers": containers, "volumes": volumes, "ipAddress": address}
    return {"location": world.LOCATION, "properties": properties, "tags": {"traffic": "0"}}


def ended(call: Call, name: str) -> dict[str, Any]:
    """The group when it runs, or has failed."""
    found: dict[str, Any] = eventually(
        lambda: (one := call("GET", name).json())["properties"]["provisioningState"] in ("Succeeded", "Failed") and one,
        "the group neither runs nor fails",
        90,
    )
    return found


def test_a_group_serves_at_its_address_until_it_is_deleted(workspace: Workspace, call: Call) -> None:
    name = f"group-{uuid.uuid4().hex[:8]}"
    assert call("PUT", name, body(name)).status_code == 201
    group = ended(call, name)
    assert group["properties"]["containers"][0]["properties"]["instanceView"]["currentState"]["state"] == "Running"
    assert group["properties"]["ipAddress"]["fqdn"] == f"{name}.westeurope.azurecontainer.io"
    variables = group["properties"]["containers"][0]["properties"]["environmentVariables"]
    assert variables[-1] == {"name": "SCRIPT"}, "a secure value is told to nobody"

    address = f"http://{group['properties']['ipAddress']['fqdn']}:5001"
    assert workspace.session.get(f"{address}/", timeout=10).status_code == 200
    assert workspace.session.post(f"{address}/score", json={}, timeout=10).json()["answer"] == "from a group"
    assert "ready to answer" in call("GET", name, after="/containers/scoring/logs", tail="50").json()["content"]
    (metric,) = call(
        "GET", name, after="/providers/microsoft.insights/metrics", metricnames="MemoryUsage", aggregation="average"
    ).json()["value"]
    assert 30e6 < metric["timeseries"][0]["data"][0]["average"] < 500e6

    assert call("PATCH", name, {"tags": {"traffic": "100"}}).json()["tags"] == {"traffic": "100"}
    assert [each["tags"] for each in call("GET", "").json()["value"] if each["name"] == name] == [{"traffic": "100"}]

    assert call("DELETE", name).status_code == 202
    assert call("GET", name).status_code == 404
    eventually(lambda: _is_gone(workspace, address), "the server still answers")
    assert call("DELETE", name).status_code == 204


def test_a_group_whose_container_ends_again_and_again_fails_with_the_reason(call: Call) -> None:
    name = f"group-{uuid.uuid4().hex[:8]}"
    call("PUT", name, body(name, script="def init():\n    raise OSError('no disk')\ndef run(data): ...\n"))
    group = ended(call, name)
    view = group["properties"]["containers"][0]["properties"]["instanceView"]
    assert group["properties"]["provisioningState"] == "Failed"
    assert view["restartCount"] == 3
    assert "UserScriptInitFailed: OSError: no disk" in {each["message"] for each in view["events"]}
    call("DELETE", name)


@pytest.mark.parametrize("member", ["containers", "volumes"])
def test_what_cannot_be_run_here_is_refused(call: Call, member: str) -> None:
    wrong = body("wrong")
    wrong["properties"][member] = {"containers": [], "volumes": [{"name": "model", "azureFile": {}}]}[member]
    assert call("PUT", "wrong", wrong).status_code == 400
    assert call("GET", "wrong").status_code == 404


def test_only_container_groups_are_asked_by_plain_http(workspace: Workspace) -> None:
    for host in ("management.azure.com", "example.com"):
        assert workspace.session.get(f"http://{host}/", timeout=10).status_code == 403


def _is_gone(workspace: Workspace, address: str) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return workspace.session.get(f"{address}/", timeout=10).status_code == 502
    return True
