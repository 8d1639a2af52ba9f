"""What `deploy` asks of Azure, read from what would go over the wire."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from scoring.azure_targets import Instance, Request, container_group, kubernetes, managed, start
from scoring.deploy import DeployError, Size, Workspace, deploy

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # azure-ai-ml's own, of marshmallow

_WORKSPACE = Workspace(
    subscription_id="00000000-0000-0000-0000-00000000c0de", resource_group="rg-tidegate", name="vision"
)
_IMAGE = "tidegatehealthy.azurecr.io/approved/scoring/classifier@sha256:" + "0" * 64


def request(size: Size | None = None) -> Request:
    return Request("animals:3", _WORKSPACE, _IMAGE, "animals", size or Size(), "inference")


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

    def raise_for_status(self) -> None:
        return

    def json(self) -> dict[str, Any]:
        return self.body


class Arm:
    """Azure Resource Manager: a group that runs when it is asked for the second time."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []

    def send_request(self, sent: Any) -> Answer:
        self.asked.append((sent.method, sent.url, json.loads(sent.content) if sent.content else None))
        return Answer({"properties": {"provisioningState": "Succeeded", "ipAddress": {"fqdn": "animals.example"}}})


def test_a_container_instance_is_put_awaited_and_deleted() -> None:
    arm = Arm()
    service = start("aci", request(), client=arm)
    assert isinstance(service, Instance)
    assert service.scoring_uri == "http://animals.example:5001/score"
    service.stop()
    assert [method for method, _, _ in arm.asked] == ["PUT", "GET", "DELETE"]
    assert (
        "/resourceGroups/rg-tidegate/providers/Microsoft.ContainerInstance/containerGroups/animals" in arm.asked[0][1]
    )
    assert arm.asked[0][2] == container_group(request())


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"image": "scoring/classifier:v1"}, "by digest"),
        ({"name": ""}, "a name"),
        ({"target": "aks"}, "compute_target_name"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, Any], fault: str) -> None:
    asked: dict[str, Any] = {"target": "managed", "workspace": _WORKSPACE, "image": _IMAGE, "name": "animals"} | changes
    with pytest.raises(DeployError, match=fault):
        deploy("animals:3", **asked)
