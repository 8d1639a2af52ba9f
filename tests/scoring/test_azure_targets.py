"""What `deploy` asks of Azure, read from what would go over the wire."""

from __future__ import annotations

import dataclasses
import http.server
import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Literal, override

import pytest

from scoring.azure_targets import Request, start
from scoring.container_instance import Instance, container_group
from scoring.deploy import DeployError, Size, Workspace, deploy
from scoring.model_files import Files
from scoring.online_endpoint import Endpoint, kubernetes, managed
from tests.trainer.arm import Arm as WorkspaceArm
from tests.trainer.arm import Credential

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # azure-ai-ml's own, of marshmallow

_WORKSPACE = Workspace(
    subscription_id="00000000-0000-0000-0000-00000000c0de", resource_group="rg-tidegate", name="vision"
)
_PULLS = "/subscriptions/00000000-0000-0000-0000-00000000c0de/resourceGroups/rg-tidegate/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-scoring"  # noqa: E501
_IMAGE = "tidegatehealthy.azurecr.io/approved/scoring/classifier@sha256:" + "0" * 64


def request(size: Size | None = None) -> Request:
    return Request("animals:3", _WORKSPACE, _IMAGE, "animals", size or Size(), "inference", _PULLS)


def test_a_managed_deployment_names_the_model_and_the_image_by_digest() -> None:
    endpoint, deployment = managed(request(Size(instance_type="Standard_DS2_v2", replicas=2)))
    assert endpoint.name == "animals"
    assert (deployment.model, deployment.environment.image) == ("azureml:animals:3", _IMAGE)
    assert (deployment.instance_type, deployment.instance_count) == ("Standard_DS2_v2", 2)
    assert deployment.environment.inference_config["scoring_route"] == {"port": 5001, "path": "/score"}


def test_a_dev_test_cluster_gets_fixed_replicas() -> None:
    endpoint, deployment = kubernetes(request(Size(replicas=3, cpu=0.5)))
    assert endpoint.compute == "inference"
    assert deployment.instance_count == 3
    assert deployment.resources.requests.cpu == "0.5"
    assert deployment.scale_settings is None


def test_a_production_cluster_scales_between_two_numbers_and_may_have_gpus() -> None:
    _, deployment = kubernetes(request(Size(replicas=2, most_replicas=9, gpus=1)))
    assert deployment.instance_count is None
    assert (deployment.scale_settings.min_instances, deployment.scale_settings.max_instances) == (2, 9)
    assert deployment.resources.limits.gpu == "1"


@dataclasses.dataclass
class Answer:
    body: dict[str, Any]
    status_code: int = 200

    def raise_for_status(self) -> None:
        return

    def json(self) -> dict[str, Any]:
        return self.body


class Arm:
    """Azure Resource Manager: a group that is in one state from the beginning."""

    def __init__(self, state: str = "Succeeded") -> None:
        self._state = state
        self.asked: list[tuple[str, str, Any]] = []

    def send_request(self, sent: Any) -> Answer:
        self.asked.append((sent.method, sent.url, json.loads(sent.content) if sent.content else None))
        return Answer({"properties": {"provisioningState": self._state, "ipAddress": {"fqdn": "animals.example"}}})


class Poller:
    def __init__(self, result: Any) -> None:
        self._result = result

    def result(self) -> Any:
        return self._result


class Workplace:
    """An MLClient that remembers, in order, what it was asked for, as it was in that moment."""

    def __init__(self, scoring_uri: str) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.online_endpoints = self.online_deployments = self
        self._scoring_uri = scoring_uri

    def begin_create_or_update(self, entity: Any) -> Poller:
        self.asked.append((type(entity).__name__, entity.name, dict(getattr(entity, "traffic", None) or {})))
        return Poller(SimpleNamespace(scoring_uri=self._scoring_uri))

    def begin_delete(self, name: str) -> Poller:
        self.asked.append(("delete", name, None))
        return Poller(None)

    def get_keys(self, _name: str) -> Any:
        return SimpleNamespace(primary_key="the-key")


@pytest.fixture
def posted() -> Iterator[tuple[str, list[tuple[str | None, bytes]]]]:
    """The address of a server that answers a list, and what was posted there: who asked, and what."""
    seen: list[tuple[str | None, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append((self.headers["Authorization"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"[]")

        @override
        def log_message(self, *_: object) -> None:
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/score", seen
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("target", "kind"), [("managed", "ManagedOnline"), ("aks", "KubernetesOnline")])
def test_an_endpoint_gets_its_traffic_when_its_deployment_runs_and_is_asked_with_its_key(
    target: Literal["managed", "aks"], kind: str, posted: tuple[str, list[tuple[str | None, bytes]]]
) -> None:
    address, seen = posted
    client = Workplace(address)
    service = start(target, request(), client=client)
    assert isinstance(service, Endpoint)
    assert client.asked == [
        (f"{kind}Endpoint", "animals", {}),
        (f"{kind}Deployment", "blue", {}),
        (f"{kind}Endpoint", "animals", {"blue": 100}),
    ]
    assert service.score(b"image") == b"[]"
    assert seen == [("Bearer the-key", b"image")]
    service.stop()
    assert client.asked[-1] == ("delete", "animals", None)


_FILES: Files = [("manifest.json", "https://account.blob.core.windows.net/models/a/manifest.json", 12)]
_IN_WORKSPACE = "/subscriptions/00000000-0000-0000-0000-00000000c0de/resourceGroups/rg-tidegate/providers/Microsoft.MachineLearningServices/workspaces/vision"  # noqa: E501


@pytest.mark.parametrize(
    ("target", "size", "wanted", "sku"),
    [
        pytest.param(
            "managed",
            Size(replicas=2),
            {"endpointComputeType": "Managed", "instanceType": "Standard_DS3_v2"},
            {"name": "Default", "capacity": 2},
            id="managed",
        ),
        pytest.param(
            "aks",
            Size(replicas=3, cpu=0.5),
            {
                "endpointComputeType": "Kubernetes",
                "containerResourceRequirements": {
                    "containerResourceRequests": {"cpu": "0.5", "memory": "2Gi"},
                    "containerResourceLimits": {"cpu": "0.5", "memory": "2Gi"},
                },
            },
            {"name": "Default", "capacity": 3},
            id="dev-test-cluster",
        ),
        pytest.param(
            "aks",
            Size(replicas=2, most_replicas=9, gpus=1),
            {
                "endpointComputeType": "Kubernetes",
                "scaleSettings": {
                    "scaleType": "TargetUtilization",
                    "minInstances": 2,
                    "maxInstances": 9,
                    "pollingInterval": "PT10S",
                    "targetUtilizationPercentage": 70,
                },
                "containerResourceRequirements": {
                    "containerResourceRequests": {"cpu": "1", "memory": "2Gi", "gpu": "1"},
                    "containerResourceLimits": {"cpu": "1", "memory": "2Gi", "gpu": "1"},
                },
            },
            {"name": "Default"},
            id="production-cluster",
        ),
    ],
)
def test_the_sdk_asks_azure_for_what_was_meant(
    target: Literal["managed", "aks"], size: Size, wanted: dict[str, Any], sku: dict[str, Any]
) -> None:
    """The requests of the real azure-ai-ml, in order."""
    from azure.ai.ml import MLClient

    arm = WorkspaceArm()
    client = MLClient(Credential(), _WORKSPACE.subscription_id, _WORKSPACE.resource_group, "vision", transport=arm)
    service = start(target, request(size), client=client)
    service.stop()
    sent = [(method, path.removeprefix(_IN_WORKSPACE), body) for method, path, _, body in arm.asked if method != "GET"]
    assert [(method, path.partition("/versions")[0]) for method, path, _ in sent] == [
        ("PUT", "/onlineEndpoints/animals"),
        ("PUT", "/environments/CliV2AnonymousEnvironment"),
        ("PUT", "/onlineEndpoints/animals/deployments/blue"),
        ("PUT", "/onlineEndpoints/animals"),
        ("DELETE", "/onlineEndpoints/animals"),
    ]
    endpoint, environment, deployment, traffic, _ = [body for _, _, body in sent]
    compute = f"{_IN_WORKSPACE}/computes/inference" if target == "aks" else None
    assert (endpoint["properties"]["authMode"], endpoint["properties"].get("compute")) == ("Key", compute)
    assert environment["properties"]["image"] == _IMAGE
    assert environment["properties"]["inferenceConfig"]["scoringRoute"] == {"port": 5001, "path": "/score"}
    assert deployment["sku"] == sku
    properties = deployment["properties"]
    assert properties["model"] == f"{_IN_WORKSPACE}/models/animals/versions/3"
    assert properties["environmentId"].startswith(f"{_IN_WORKSPACE}/environments/CliV2AnonymousEnvironment/versions/")
    assert {name: value for name, value in properties.items() if name in wanted} == wanted
    assert ("scaleSettings" in properties) == ("scaleSettings" in wanted)
    assert traffic["properties"]["traffic"] == {"blue": 100}


@pytest.mark.parametrize("state", ["Failed", "Unhealthy", "Canceled"])
def test_a_container_instance_that_fails_is_no_service(state: str) -> None:
    with pytest.raises(RuntimeError, match=f"container group animals: {state}"):
        start("aci", request(), client=Arm(state), files=_FILES)


def test_a_container_instance_is_put_awaited_and_deleted() -> None:
    arm = Arm()
    service = start("aci", request(), client=arm, files=_FILES)
    assert isinstance(service, Instance)
    assert service.scoring_uri == "http://animals.example:5001/score"
    service.stop()
    assert [method for method, _, _ in arm.asked] == ["PUT", "GET", "DELETE"]
    assert (
        "/resourceGroups/rg-tidegate/providers/Microsoft.ContainerInstance/containerGroups/animals" in arm.asked[0][1]
    )
    body = arm.asked[0][2]
    assert body == container_group(request(), _FILES)
    container = body["properties"]["containers"][0]["properties"]
    variables = {each["name"]: each["value"] for each in container["environmentVariables"]}
    assert json.loads(variables["SCORING_MODEL_FILES"]) == [list(each) for each in _FILES]
    assert variables["AZUREML_MODEL_DIR"] == container["volumeMounts"][0]["mountPath"]
    assert body["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {_PULLS: {}}}
    assert body["properties"]["imageRegistryCredentials"] == [
        {"server": "tidegatehealthy.azurecr.io", "identity": _PULLS}
    ]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"image": "scoring/classifier:v1"}, "by digest"),
        ({"name": ""}, "a name"),
        ({"target": "aks"}, "compute_target_name"),
        ({"target": "aci"}, "identity"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, Any], fault: str) -> None:
    asked: dict[str, Any] = {"target": "managed", "workspace": _WORKSPACE, "image": _IMAGE, "name": "animals"} | changes
    with pytest.raises(DeployError, match=fault):
        deploy("animals:3", **asked)
