"""Online endpoints: what is sent is what azure-ai-ml sends, nothing is waited for, and traffic is written whole."""

from __future__ import annotations

import contextlib
import datetime
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from tests.adapters import ml_world
from tests.adapters.ml_world import (
    IMAGE,
    add_model,
    add_workspace,
    candidate,
    instance,
    target,
    version,
)
from tests.adapters.scripted_azure import Asked, Identity, ScriptedAzure, refusal
from tests.azurite import ACCOUNT
from tidegate.adapters.arm import Arm
from tidegate.adapters.machine_learning.artefact_places import ArtefactPlaces
from tidegate.adapters.machine_learning.models import MachineLearningModels
from tidegate.adapters.machine_learning.workspaces import Workspaces
from tidegate.adapters.serving.azure_metrics import AzureMetrics
from tidegate.adapters.serving.deployment_assets import DeploymentAssets
from tidegate.adapters.serving.online_endpoints import OnlineEndpoints
from tidegate.adapters.serving.scoring_requests import ScoringRequests
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.models.model_facts import Weights

ROOT = ml_world.workspace("vision-int")
ENDPOINT = f"{ROOT}/onlineEndpoints/digits-int"
NEW, OLD = "digits-7-0f3c5a1b9d24", "digits-6-aaaaaaaaaaaa"
DEPLOYMENT = f"{ENDPOINT}/deployments/{NEW}"
OPERATION = (
    "/subscriptions/sub/providers/Microsoft.MachineLearningServices/locations/westeurope/mfeOperationsStatus/odidp:1"
)
LINK = f"https://management.azure.com{OPERATION}?api-version=2022-02-01-preview"
HOST = "digits-int.westeurope.inference.ml.azure.com"
IDENTITY = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/serving"


@pytest.fixture
def endpoints(azure: ScriptedAzure) -> Iterator[OnlineEndpoints]:
    add_workspace(azure, "vision-int", "models")
    add_model(azure, version("vision-int"), "azureml://datastores/workspaceblobstore/paths/m/7/")
    with contextlib.ExitStack() as stack:
        arm = stack.enter_context(contextlib.closing(Arm(Identity())))
        workspaces = Workspaces(ml_world.SETTINGS, arm)
        places = stack.enter_context(contextlib.closing(ArtefactPlaces(workspaces, Identity())))
        models = MachineLearningModels(workspaces, places)
        requests = stack.enter_context(contextlib.closing(ScoringRequests()))
        assets = DeploymentAssets(workspaces, models.folder_of, models.fetch)
        yield OnlineEndpoints(workspaces, assets, requests, AzureMetrics(arm), Identity(), IDENTITY)


def endpoint(
    azure: ScriptedAzure,
    traffic: dict[str, int] | None = None,
    mirror: dict[str, int] | None = None,
    state: str = "Succeeded",
    **more: Any,
) -> dict[str, Any]:
    """The endpoint as a GET shows it."""
    properties = {
        "authMode": "Key",
        "properties": {"azureml.onlineendpointid": "1", "AzureAsyncOperationUri": LINK},
        "traffic": traffic or {},
        "mirrorTraffic": mirror or {},
        "publicNetworkAccess": "Enabled",
        "provisioningState": state,
        "scoringUri": f"https://{HOST}/score",
        "swaggerUri": f"https://{HOST}/swagger.json",
        **more,
    }
    azure.resources[ENDPOINT] = {
        "id": ENDPOINT,
        "location": "westeurope",
        "kind": "Managed",
        "tags": {"team": "vision"},
        "identity": {
            "type": "UserAssigned",
            "userAssignedIdentities": {IDENTITY: {"clientId": "c", "principalId": "p"}},
        },
        "properties": properties,
    }
    return properties


def deployment(azure: ScriptedAzure, state: str, model: str = "", **more: Any) -> None:
    azure.resources[DEPLOYMENT] = {
        "id": DEPLOYMENT,
        "properties": {
            "provisioningState": state,
            "model": model or version("vision-int").upper(),
            "properties": {"AzureAsyncOperationUri": LINK},
            **more,
        },
        "systemData": {"createdAt": datetime.datetime.now(datetime.UTC).isoformat()},
    }


def no_poller() -> bool:
    """azure-core's pollers are threads of this name."""
    return not any("LROPoller" in each.name for each in threading.enumerate())


# The endpoint


def test_an_endpoint_is_made_as_azure_ai_ml_makes_it(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    """vectors: aml_sdk-azure-ai-ml-1.35.2, endpoint create managed; the identity is the one that can pull images."""
    assert endpoints.look(target()).state == "missing"
    endpoints.ensure(target())
    (put,) = azure.calls("PUT")
    assert (put.path, put.query["api-version"]) == (ENDPOINT, "2022-02-01-preview")
    assert put.json["location"] == "westeurope"
    assert put.json["properties"] == {"authMode": "Key", "properties": {}, "traffic": {}, "mirrorTraffic": {}}
    assert put.json["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}
    assert no_poller()


def test_an_endpoint_on_kubernetes_names_its_compute(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    endpoints.ensure(target("kubernetes", compute="aks1"))
    (put,) = azure.calls("PUT")
    assert put.json["properties"]["compute"] == f"{ROOT}/computes/aks1"


def test_making_an_endpoint_twice_makes_one_and_a_failed_one_is_made_again_with_its_traffic(
    endpoints: OnlineEndpoints, azure: ScriptedAzure
) -> None:
    endpoint(azure, {OLD: 100})
    assert endpoints.ensure(target()).weights == Weights(((OLD, 100),))
    endpoint(azure, {OLD: 100}, state="Creating")
    assert endpoints.ensure(target()).state == "busy"
    assert azure.calls("PUT") == []
    endpoint(azure, {OLD: 100}, state="Failed")
    endpoints.ensure(target())
    (put,) = azure.calls("PUT")
    assert put.json["properties"]["traffic"] == {OLD: 100}


def test_a_failed_endpoint_says_why(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    endpoint(azure, state="Failed")
    error = {"code": "BadRequest", "message": "no", "details": [{"code": "KubernetesUnaccessible", "message": "down"}]}
    azure.answers[f"GET {OPERATION}"] = {"status": "Failed", "error": error}
    seen = endpoints.look(target())
    assert (seen.state, seen.reason) == ("failed", "KubernetesUnaccessible: down")


# Traffic


def test_traffic_is_written_whole_with_all_else_as_it_is(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    endpoint(azure, {OLD: 100}, description="for callers")
    endpoints.shift(target(), Weights(((OLD, 90), (NEW, 10))))
    (put,) = azure.calls("PUT")
    assert put.json == {
        "location": "westeurope",
        "kind": "Managed",
        "tags": {"team": "vision"},
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}},
        "properties": {
            "authMode": "Key",
            "description": "for callers",
            "publicNetworkAccess": "Enabled",
            "properties": {"azureml.onlineendpointid": "1"},
            "traffic": {OLD: 90, NEW: 10},
            "mirrorTraffic": {},
        },
    }
    assert no_poller()


def test_a_mirror_is_written_beside_the_live_traffic(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    endpoint(azure, {OLD: 100})
    weights = Weights(((OLD, 100),), ((NEW, 10),))
    endpoints.shift(target(), weights)
    assert azure.calls("PUT")[-1].json["properties"]["mirrorTraffic"] == {NEW: 10}
    azure.resources[ENDPOINT]["properties"]["provisioningState"] = "Succeeded"
    assert endpoints.look(target()).weights == weights


def test_dividing_twice_is_asked_for_once_in_whatever_order(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    endpoint(azure, {NEW: 10, OLD: 90, "gone": 0})
    endpoints.shift(target(), Weights(((OLD, 90), (NEW, 10))))
    endpoints.shift(target(), Weights(((NEW, 10), (OLD, 90))))
    assert azure.calls("PUT") == []


def test_while_another_change_goes_on_it_is_tried_later(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    endpoint(azure, {OLD: 100}, state="Updating")
    with pytest.raises(TransientError, match="another change"):
        endpoints.shift(target(), Weights(((NEW, 100),)))
    endpoint(azure, {OLD: 100})
    azure.answers[f"PUT {ENDPOINT}"] = refusal(409, "Conflict", "An operation is in progress.")
    with pytest.raises(TransientError, match="409"):
        endpoints.shift(target(), Weights(((NEW, 100),)))


def test_whoever_wrote_between_is_noticed(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    endpoint(azure, {OLD: 100})

    def lost(asked: Asked) -> dict[str, Any]:
        endpoint(azure, {"theirs": 100})
        return dict(asked.json)

    azure.answers[f"PUT {ENDPOINT}"] = lost
    with pytest.raises(TransientError, match="somebody else"):
        endpoints.shift(target(), Weights(((NEW, 100),)))


def test_traffic_that_the_service_refuses_is_refused_for_good(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    endpoint(azure, {OLD: 100})
    azure.answers[f"PUT {ENDPOINT}"] = refusal(400, "BadArgument", "The deployment is not there.")
    with pytest.raises(PermanentError, match=r"^BadArgument: The deployment is not there\.$"):
        endpoints.shift(target(), Weights(((NEW, 100),)))


# Deployments


def test_a_deployment_is_made_of_exact_bytes(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    endpoint(azure)
    endpoints.create(target(), NEW, candidate(MODE="fast"), instance(count=2))
    environment, code, made = azure.calls("PUT")
    assert environment.path.startswith(f"{ROOT}/environments/image-")
    assert environment.json["properties"]["image"] == IMAGE
    assert environment.json["properties"]["inferenceConfig"] == {
        "livenessRoute": {"port": 5001, "path": "/"},
        "readinessRoute": {"port": 5001, "path": "/"},
        "scoringRoute": {"port": 5001, "path": "/score"},
    }
    assert code.json["properties"]["codeUri"] == f"https://{ACCOUNT}.blob.core.windows.net/models/m/7/scoring"
    assert (made.path, made.query["api-version"]) == (DEPLOYMENT, "2023-04-01-preview")
    assert made.json == {
        "location": "westeurope",
        "sku": {"name": "Default", "capacity": 2},
        "tags": {"tidegate.model": "vision/digits:7", "tidegate.sha256": "cd" * 32},
        "properties": {
            "endpointComputeType": "Managed",
            "environmentId": environment.path,
            "model": version("vision-int"),
            "codeConfiguration": {"codeId": code.path, "scoringScript": "score.py"},
            "environmentVariables": {"MODE": "fast"},
            "properties": {},
            "appInsightsEnabled": False,
            "instanceType": "Standard_DS2_v2",
        },
    }
    assert no_poller()


def test_on_kubernetes_a_replica_asks_for_what_the_gate_says(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    endpoints.create(target("kubernetes", compute="aks1"), NEW, candidate(script=""), instance("gpu", 3))
    body = azure.calls("PUT", "/deployments/")[0].json
    assert (body["properties"]["endpointComputeType"], body["sku"]["capacity"]) == ("Kubernetes", 3)
    needs = {"cpu": "2", "memory": "7Gi"}
    assert body["properties"]["containerResourceRequirements"] == {
        "containerResourceRequests": needs,
        "containerResourceLimits": needs,
    }
    assert "codeConfiguration" not in body["properties"]
    assert azure.calls("PUT", "/codes/") == []


@pytest.mark.parametrize("state", ["Creating", "Updating", "Scaling", "Succeeded", "Deleting"])
def test_a_deployment_that_is_there_or_on_its_way_is_left(
    endpoints: OnlineEndpoints, azure: ScriptedAzure, state: str
) -> None:
    deployment(azure, state)
    endpoints.create(target(), NEW, candidate(), instance())
    assert azure.calls("PUT") == []


def test_a_deployment_that_failed_is_made_again_of_the_same_assets(
    endpoints: OnlineEndpoints, azure: ScriptedAzure
) -> None:
    endpoints.create(target(), NEW, candidate(), instance())
    deployment(azure, "Failed")
    endpoints.create(target(), NEW, candidate(), instance())
    assert [each.path.split("/")[9] for each in azure.calls("PUT")] == [
        "environments",
        "codes",
        "onlineEndpoints",
        "onlineEndpoints",
    ]


def test_a_name_that_serves_another_model_is_never_written_over(
    endpoints: OnlineEndpoints, azure: ScriptedAzure
) -> None:
    deployment(azure, "Failed", version("vision-int", number="6"))
    with pytest.raises(PermanentError, match=r"^NameTaken: "):
        endpoints.create(target(), NEW, candidate(), instance())
    assert azure.calls("PUT") == []


def test_an_environment_of_this_name_with_another_image_is_not_used(
    endpoints: OnlineEndpoints, azure: ScriptedAzure
) -> None:
    endpoints.create(target(), NEW, candidate(), instance())
    azure.resources.pop(DEPLOYMENT)
    azure.resources[azure.calls("PUT", "/environments/")[0].path]["properties"]["image"] = "evil.azurecr.io/x"
    with pytest.raises(PermanentError, match=r"^NameTaken: environment image-"):
        endpoints.create(target(), NEW, candidate(), instance())


@pytest.mark.parametrize(
    ("answer", "expected", "words"),
    [
        (refusal(400, "OutOfQuota", "Additional needed: 8"), PermanentError, "^OutOfQuota: Additional needed: 8$"),
        (refusal(409, "QuotaExceeded", "no cores"), PermanentError, "^QuotaExceeded: no cores$"),
        (refusal(400, "BadArgument", "unknown size"), PermanentError, "^BadArgument: unknown size$"),
        (refusal(409, "Conflict", "in progress"), TransientError, "409"),
        (refusal(429, "TooManyRequests", "later"), TransientError, "429"),
        (refusal(503, "ServerBusy", "later"), TransientError, "503"),
        (refusal(401, "ExpiredToken", "again"), TransientError, "401"),
        (web.Response(status=200, body=b"<html>"), TransientError, "not JSON"),
    ],
    ids=["quota", "quota as a conflict", "bad argument", "busy", "throttled", "down", "token", "no JSON"],
)
def test_a_refusal_says_code_and_reason_and_anything_else_is_tried_again(
    endpoints: OnlineEndpoints,
    azure: ScriptedAzure,
    answer: web.Response,
    expected: type[Exception],
    words: str,
) -> None:
    azure.answers[f"PUT {DEPLOYMENT}"] = answer
    with pytest.raises(expected, match=words):
        endpoints.create(target(), NEW, candidate(), instance())


def test_a_detail_says_what_a_code_like_bad_request_does_not(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    details = [{"code": "PodUnschedulable", "message": "0/3 nodes"}]
    error = {"error": {"code": "BadRequest", "message": "The request is invalid.", "details": details}}
    azure.answers[f"PUT {DEPLOYMENT}"] = web.json_response(error, status=400)
    with pytest.raises(PermanentError, match=r"^PodUnschedulable: 0/3 nodes$"):
        endpoints.create(target(), NEW, candidate(), instance())


@pytest.mark.parametrize(
    ("state", "expected"),
    [("Succeeded", "ready"), ("Creating", "busy"), ("Updating", "busy"), ("Scaling", "busy"), ("Deleting", "busy")],
)
def test_a_deployment_is_what_a_get_says(
    endpoints: OnlineEndpoints, azure: ScriptedAzure, state: str, expected: str
) -> None:
    assert endpoints.deployment(target(), NEW).state == "missing"
    deployment(azure, state)
    assert endpoints.deployment(target(), NEW).state == expected


def test_a_failed_deployment_has_the_code_of_the_operation_that_failed(
    endpoints: OnlineEndpoints, azure: ScriptedAzure
) -> None:
    deployment(azure, "Failed")
    message = "Not enough quota available for Standard_DS3_v2. Current usage/limit: 6/6. Additional needed: 8"
    azure.answers[f"GET {OPERATION}"] = {"status": "Failed", "error": {"code": "OutOfQuota", "message": message}}
    seen = endpoints.deployment(target(), NEW)
    assert (seen.state, seen.code, seen.reason) == ("failed", "OutOfQuota", message)
    azure.answers[f"GET {OPERATION}"] = refusal(404, "OperationNotFound", "long ago")
    assert endpoints.deployment(target(), NEW).code == "DeploymentFailed"


def test_the_link_of_an_operation_leads_nowhere_else(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    link = "https://storage.evil.example/operation"
    deployment(azure, "Failed", properties={"AzureAsyncOperationUri": link})
    assert endpoints.deployment(target(), NEW).code == "DeploymentFailed"
    assert {each.host for each in azure.seen} == {"management.azure.com"}


def test_a_deployment_is_deleted_once_and_never_with_traffic(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    deployment(azure, "Succeeded")
    for live, mirror in (({NEW: 1, OLD: 99}, {}), ({OLD: 100}, {NEW: 10})):
        endpoint(azure, live, mirror)
        with pytest.raises(PermanentError, match="it has traffic"):
            endpoints.remove(target(), NEW)
    endpoint(azure, {OLD: 100})
    assert [endpoints.remove(target(), NEW) for _ in range(2)] == [False, True]
    assert len(azure.calls("DELETE")) == 1


def test_a_deployment_that_is_being_deleted_is_neither_gone_nor_deleted_again(
    endpoints: OnlineEndpoints, azure: ScriptedAzure
) -> None:
    endpoint(azure, {OLD: 100})
    deployment(azure, "Deleting")
    assert not endpoints.remove(target(), NEW)
    assert azure.calls("DELETE") == []


def test_code_of_a_model_in_a_registry_is_copied_into_the_workspace_first(
    endpoints: OnlineEndpoints, azure: ScriptedAzure
) -> None:
    """Without the registry: asking for its files is all that is seen here; the copy is held in test_models."""
    with pytest.raises(PermanentError, match="registry shared: there is none"):
        endpoints.create(target(), NEW, candidate("azureml://registries/shared/models/digits/versions/7"), instance())
    assert azure.calls("PUT", "/codes/") == []


# Figures


def test_the_time_to_start_is_the_operations_own(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    deployment(azure, "Creating")
    times = {"startTime": "2026-03-02T08:00:00Z", "endTime": "2026-03-02T08:03:20.5Z"}
    azure.answers[f"GET {OPERATION}"] = {"status": "Succeeded", **times}
    assert endpoints.started(target(), NEW) is None
    deployment(azure, "Succeeded")
    assert endpoints.started(target(), NEW) == 200.5
    azure.answers[f"GET {OPERATION}"] = {"status": "Succeeded"}
    assert endpoints.started(target(), NEW) is None


def test_memory_is_the_highest_share_of_the_instance_so_far(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    deployment(azure, "Succeeded")
    place = f"{DEPLOYMENT}/providers/Microsoft.Insights/metrics"
    azure.answers[f"GET {place}"] = {"value": []}
    assert endpoints.memory(target(), NEW, instance()) is None
    points = [{"timeStamp": "t1", "maximum": 20.0}, {"timeStamp": "t2", "maximum": 50.0}, {"timeStamp": "t3"}]
    azure.answers[f"GET {place}"] = {
        "value": [{"name": {"value": "CpuMemoryUtilizationPercentage"}, "timeseries": [{"data": points}]}]
    }
    assert endpoints.memory(target(), NEW, instance()) == (7 << 30) // 2
    assert azure.seen[-1].query["aggregation"] == "maximum"


# Requests


def test_a_request_goes_to_one_deployment_with_the_endpoints_key(
    endpoints: OnlineEndpoints, azure: ScriptedAzure
) -> None:
    endpoint(azure, {OLD: 100})
    azure.answers[f"POST {ENDPOINT}/listKeys"] = {"primaryKey": "key-1"}
    azure.answers["POST /score"] = web.Response(body=b"[7]")
    answered = endpoints.ask(target(), NEW, b'{"data": []}', 5)
    assert (answered.status, answered.body) == (200, b"[7]")
    asked = azure.seen[-1]
    assert (asked.host, asked.headers["authorization"]) == (HOST, "Bearer key-1")
    assert asked.headers["azureml-model-deployment"] == NEW


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("AMLToken", "Bearer aml-1"), ("AADToken", "Bearer token for https://ml.azure.com/.default")],
)
def test_an_endpoint_of_another_mode_gets_what_it_asks_for(
    endpoints: OnlineEndpoints, azure: ScriptedAzure, mode: str, expected: str
) -> None:
    endpoint(azure, authMode=mode)
    azure.answers[f"POST {ENDPOINT}/token"] = {"accessToken": "aml-1"}
    azure.answers["POST /score"] = web.Response(body=b"[7]")
    endpoints.ask(target(), NEW, b"{}", 5)
    assert azure.seen[-1].headers["authorization"] == expected
    assert azure.calls("POST", "/listKeys") == []


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("managed", "https://storage.evil.example/score"),
        ("managed", f"http://{HOST}/score"),
        ("managed", ""),
        ("kubernetes", "file:///etc/passwd"),
    ],
)
def test_an_address_that_is_none_gets_no_key(
    endpoints: OnlineEndpoints, azure: ScriptedAzure, kind: str, address: str
) -> None:
    endpoint(azure, scoringUri=address)
    with pytest.raises(TransientError, match="no address to ask at"):
        endpoints.ask(target(kind), NEW, b"{}", 5)
    assert azure.calls("POST") == []


def test_a_name_cannot_lead_to_another_resource(endpoints: OnlineEndpoints, azure: ScriptedAzure) -> None:
    endpoints.deployment(target(), "a?b=c#d")
    assert azure.seen[-1].path == f"{ENDPOINT}/deployments/a?b=c#d"
    azure.seen.clear()
    with pytest.raises(PermanentError, match="no path of a resource"):
        endpoints.deployment(target(), "../../other")
    assert azure.seen == []
