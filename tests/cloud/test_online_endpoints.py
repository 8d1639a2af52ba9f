"""Online endpoints and deployments: what they answer, how they are changed, and what happens to their processes."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.identity import ManagedIdentityCredential

from tests.azurite import Azurite
from tests.cloud.ml_world import SCRIPT, Endpoint, Load, Workspace, total
from tests.cloud.world import eventually, local_cloud

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def kept() -> dict[str, str]:
    """Name of the endpoint that the tests of this file share: two deployments are enough for most of them."""
    return {}


@pytest.fixture
def pair(workspace: Workspace, kept: dict[str, str]) -> Iterator[Endpoint]:
    """An endpoint with blue and green; without traffic, whatever a test did."""
    if "name" not in kept:
        endpoint = workspace.endpoint()
        endpoint.deploy("blue")
        endpoint.deploy("green")
        kept["name"] = endpoint.name
    endpoint = Endpoint(workspace, kept["name"])
    endpoint.shift({})
    yield endpoint
    workspace.cloud.admin("DELETE", "faults")


def alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


# Scoring ----------------------------------------------------------------------------------------------------------------


def test_traffic_is_divided_by_the_weights(pair: Endpoint) -> None:
    pair.shift({"blue": 75, "green": 25})
    key = pair.key()
    answers = [pair.ask(secret=key).json()["answer"] for _ in range(200)]
    assert set(answers) == {"blue", "green"}
    assert 130 <= answers.count("blue") <= 170


def test_the_header_asks_one_deployment_past_the_traffic(pair: Endpoint) -> None:
    pair.shift({"blue": 100})
    answer = pair.ask(deployment="green")
    assert (answer.json()["answer"], answer.headers["azureml-model-deployment"]) == ("green", "green")
    assert pair.ask(deployment="other").status_code == 404


def test_without_traffic_nobody_answers(pair: Endpoint) -> None:
    assert pair.ask().status_code == 404


@pytest.mark.parametrize("secret", ["", "wrong"])
def test_a_wrong_key_is_refused(pair: Endpoint, secret: str) -> None:
    assert pair.ask(deployment="blue", secret=secret).status_code == 401


def test_a_model_that_fails_is_424_and_says_its_own_status(pair: Endpoint) -> None:
    answer = pair.ask({"fail": True}, deployment="blue")
    assert answer.status_code == 424
    assert answer.headers["ms-azureml-model-error-statuscode"] == "500"
    by_status = pair.metric("RequestsPerMinute", "statusCode eq '424' and modelStatusCode eq '*'")
    assert {each["value"] for one in by_status for each in one["metadatavalues"]} == {"424", "500"}


def test_an_answer_that_comes_too_late_is_408(workspace: Workspace) -> None:
    endpoint = workspace.endpoint()
    endpoint.deploy("slow", requestSettings={"requestTimeout": "PT0.3S"})
    assert endpoint.ask({"sleep": 1}, deployment="slow").status_code == 408
    eventually(lambda: endpoint.ask(deployment="slow").status_code == 200, "it does not answer again")


def test_mirrored_copies_are_sent_and_nobody_gets_their_answers(pair: Endpoint) -> None:
    sent = total(pair.metric("RequestsPerMinute", deployment="green"))
    pair.shift({"blue": 100}, mirrorTraffic={"green": 50})
    key = pair.key()
    answers = {pair.ask(secret=key).json()["answer"] for _ in range(60)}
    assert answers == {"blue"}
    copies = eventually(lambda: total(pair.metric("RequestsPerMinute", deployment="green")) - sent, "no copy was sent")
    assert 15 <= copies <= 45
    of_callers = pair.metric("RequestsPerMinute", "deployment eq 'green' and statusCode eq '*'")
    assert all(each["value"] != "0" for one in of_callers for each in one["metadatavalues"])


def test_no_request_is_lost_while_traffic_shifts_and_the_old_deployment_goes(workspace: Workspace) -> None:
    endpoint = workspace.endpoint()
    endpoint.deploy("blue")
    endpoint.shift({"blue": 100})
    endpoint.deploy("green")
    with Load(endpoint) as load:
        load.reach(30)
        for share in (10, 50, 100):
            endpoint.shift({"blue": 100 - share, "green": share})
            load.reach(30)
        deleted = workspace.done(workspace.arm("DELETE", f"{endpoint.path}/deployments/blue"))
        load.reach(30)
    assert deleted["status"] == "Succeeded"
    assert {status for status, _ in load.answers} == {200}
    assert {name for _, name in load.answers[-20:]} == {"green"}


def test_requests_in_flight_are_answered_before_their_deployment_goes(workspace: Workspace) -> None:
    """Those that wait for the one worker too: the server alone, told to end, would finish no more than the first."""
    endpoint = workspace.endpoint()
    endpoint.deploy("blue")
    key = endpoint.key()
    with concurrent.futures.ThreadPoolExecutor() as threads, requests.Session() as session:
        other = dataclasses.replace(endpoint, workspace=dataclasses.replace(workspace, session=session))
        asked = [threads.submit(other.ask, {"sleep": 0.5}, "blue", key) for _ in range(3)]
        eventually(lambda: endpoint.process("blue")["inFlight"] == 3, "the requests are not there")
        deleted = workspace.done(workspace.arm("DELETE", f"{endpoint.path}/deployments/blue"))
        assert [each.result(30).status_code for each in asked] == [200, 200, 200]
    assert deleted["status"] == "Succeeded"
    assert endpoint.ask(deployment="blue").status_code == 404


# Changes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("traffic", "mirror"),
    [
        ({"blue": 60}, {}),
        ({"none": 100}, {}),
        ({"blue": 100}, {"green": 51}),
        ({"blue": 100}, {"blue": 10}),
        ({"blue": "x"}, {}),
    ],
    ids=["not 100", "no such deployment", "too much mirrored", "live and mirrored", "no number"],
)
def test_traffic_that_cannot_be_is_refused_and_changes_nothing(
    pair: Endpoint, traffic: dict[str, int], mirror: dict[str, int]
) -> None:
    pair.shift({"blue": 100})
    assert pair.put(traffic, mirrorTraffic=mirror).status_code == 400
    assert pair.get()["properties"]["traffic"] == {"blue": 100}


def test_a_deployment_with_traffic_is_not_deleted(pair: Endpoint) -> None:
    pair.shift({"green": 100})
    assert pair.workspace.arm("DELETE", f"{pair.path}/deployments/green").status_code == 400
    assert pair.ask().json()["answer"] == "green"


def test_a_write_during_an_operation_is_refused(pair: Endpoint) -> None:
    pair.workspace.cloud.fault("slow-operation", {"method": "PUT", "path": f"{pair.name}$", "count": 1}, seconds=1)
    first = pair.put({"blue": 100})
    assert pair.get()["properties"] | {"traffic": {}} == pair.get()["properties"]  # not applied yet
    assert pair.put({"green": 100}).status_code == 409
    assert pair.workspace.done(first)["status"] == "Succeeded"
    assert pair.get()["properties"]["traffic"] == {"blue": 100}


def test_the_same_deployment_again_keeps_its_process(workspace: Workspace) -> None:
    endpoint = workspace.endpoint()
    code: dict[str, Any] = {"model": workspace.model(), "environmentId": workspace.environment()}
    variables = {"AZUREML_ENTRY_SCRIPT": "score.py", "AML_APP_ROOT": workspace.root(code["model"])}
    for status, changed in ((201, {}), (200, {}), (200, {"ANSWER": "another"})):
        before = endpoint.process("blue")["pid"] if status == 200 else 0
        answer = endpoint.put_deployment("blue", environmentVariables={**variables, **changed}, **code)
        assert answer.status_code == status
        assert workspace.done(answer)["status"] == "Succeeded"
        assert (endpoint.process("blue")["pid"] == before) == (status == 200 and not changed)
    assert endpoint.ask(deployment="blue").json()["answer"] == "another"


@pytest.mark.parametrize(
    "properties",
    [
        {"instanceType": "Standard_Huge"},
        {"endpointComputeType": "Kubernetes"},
        {"environmentId": ""},
        {"model": "/subscriptions/x"},
    ],
    ids=lambda each: next(iter(each)),
)
def test_a_body_that_is_wrong_is_refused_at_once(pair: Endpoint, properties: dict[str, Any]) -> None:
    answer = pair.put_deployment("wrong", **properties)
    assert answer.status_code == 400, answer.text
    assert pair.workspace.arm("GET", f"{pair.path}/deployments/wrong").status_code == 404


# What goes wrong ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            "def init():\n    raise RuntimeError('no weights')\ndef run(data):\n    return 0\n",
            "RuntimeError: no weights",
        ),
        ("import nothing_like_it\n", "ModuleNotFoundError: No module named 'nothing_like_it'"),
    ],
    ids=["UserScriptInitFailed", "UserScriptImportError"],
)
def test_a_script_that_does_not_start_fails_the_deployment_with_its_reason(
    pair: Endpoint, script: str, reason: str, request: pytest.FixtureRequest
) -> None:
    pair.shift({"blue": 100})
    ended = pair.workspace.done(pair.put_deployment("broken", {"score.py": script}))
    assert (ended["status"], ended["error"]["code"]) == ("Failed", "ResourceNotReady")
    assert request.node.callspec.id in ended["error"]["message"]
    assert reason in ended["error"]["message"]
    found = pair.deployment("broken")["properties"]
    assert found["provisioningState"] == "Failed"
    assert found["properties"]["AzureAsyncOperationUri"]
    logs = pair.workspace.arm("POST", f"{pair.path}/deployments/broken/getLogs", {"tail": 200}).json()["content"]
    assert reason in logs
    assert pair.ask().json()["answer"] == "blue"
    pair.workspace.done(pair.workspace.arm("DELETE", f"{pair.path}/deployments/broken"))


def test_a_deployment_beyond_the_quota_fails_and_starts_nothing(pair: Endpoint) -> None:
    message = "Not enough quota available for Standard_DS2_v2. Current usage/limit: 6/6. Additional needed: 8"
    match = {"method": "PUT", "path": "/deployments/", "count": 1}
    pair.workspace.cloud.fault("fail-operation", match, code="OutOfQuota", message=message)
    ended = pair.workspace.done(pair.put_deployment("more"))
    assert ended["error"] == {"code": "OutOfQuota", "message": message}
    assert "pid" not in pair.process("more")
    pair.workspace.cloud.admin("DELETE", f"endpoints/{pair.name}/more")


def test_a_deployment_whose_answer_was_lost_is_made_once(pair: Endpoint) -> None:
    match = {"method": "PUT", "path": "/deployments/lost$", "count": 1}
    pair.workspace.cloud.fault("lost-response", match)
    given: dict[str, Any] = {"model": pair.workspace.model(), "environmentId": pair.workspace.environment()}
    given["environmentVariables"] = {
        "AML_APP_ROOT": pair.workspace.root(given["model"]),
        "AZUREML_ENTRY_SCRIPT": "score.py",
    }
    with pytest.raises(requests.ConnectionError):
        pair.put_deployment("lost", **given)
    eventually(lambda: pair.deployment("lost")["properties"]["provisioningState"] == "Succeeded", "it is not made", 60)
    pid = pair.process("lost")["pid"]
    assert pair.workspace.done(pair.put_deployment("lost", **given))["status"] == "Succeeded"
    assert pair.process("lost")["pid"] == pid
    pair.workspace.cloud.admin("DELETE", f"endpoints/{pair.name}/lost")


@pytest.mark.parametrize("name", ["ab", "1st", "a" * 33, "under_score", "end-"])
def test_a_name_that_azure_does_not_take_is_refused(workspace: Workspace, name: str) -> None:
    assert Endpoint(workspace, name).put({}).status_code == 400


def test_a_killed_process_is_started_again(pair: Endpoint) -> None:
    before = pair.process("green")
    pair.workspace.cloud.admin("POST", f"endpoints/{pair.name}/green/kill")
    eventually(lambda: pair.process("green")["restarts"] == before["restarts"] + 1, "it is not started again")
    eventually(lambda: pair.ask(deployment="green").status_code == 200, "it does not answer again", 30)
    assert not alive(before["pid"])


def test_a_model_that_needs_more_than_its_instance_has_does_not_start(workspace: Workspace) -> None:
    compute = (
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/computes/kubernetes"
    )
    endpoint = workspace.endpoint(compute=compute)
    greedy = "def init():\n    global kept\n    kept = bytearray(3 * 2**30)\ndef run(data):\n    return 0\n"
    limits = {"containerResourceLimits": {"cpu": "1", "memory": "512Mi"}}
    given = {"endpointComputeType": "Kubernetes", "instanceType": None, "containerResourceRequirements": limits}
    ended = workspace.done(endpoint.put_deployment("greedy", {"score.py": greedy}, **given))
    assert ended["error"] == {"code": "UserScriptInitFailed", "message": "MemoryError"}


def test_what_is_deleted_by_hand_is_gone_with_its_process(workspace: Workspace) -> None:
    endpoint = workspace.endpoint()
    endpoint.deploy("blue")
    pid = endpoint.process("blue")["pid"]
    endpoint.shift({"blue": 100})
    workspace.cloud.admin("DELETE", f"endpoints/{endpoint.name}/blue")
    assert endpoint.get()["properties"]["traffic"] == {}
    assert endpoint.ask().status_code == 404
    assert not alive(pid)
    workspace.cloud.admin("DELETE", f"endpoints/{endpoint.name}")
    assert workspace.arm("GET", endpoint.path).status_code == 404


def test_what_served_serves_again_after_the_stand_in_was_stopped(
    ml_storage: Azurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = []
    for wanted in (None, "blue"):
        with local_cloud(tmp_path, ml_storage) as cloud, requests.Session() as session:
            for name, value in cloud.environment.items():
                monkeypatch.setenv(name, value)
            workspace = Workspace(cloud, ml_storage, session, ManagedIdentityCredential())
            endpoint = Endpoint(workspace, "digits-kept") if wanted else workspace.endpoint(name="digits-kept")
            if wanted is None:
                endpoint.deploy("blue")
                endpoint.shift({"blue": 100})
            eventually(functools.partial(_answers, endpoint), "it does not answer", 60)
            assert endpoint.ask().json()["answer"] == "blue"
            pids.append(endpoint.process("blue")["pid"])
        assert not alive(pids[-1])
    assert len(set(pids)) == 2


def _answers(endpoint: Endpoint) -> bool:
    return endpoint.ask().status_code == 200


def test_a_registry_that_lacks_the_image_fails_the_deployment(pair: Endpoint) -> None:
    image = "tidegatehealthy.azurecr.io/serving/none@sha256:" + "0" * 64
    environment = pair.workspace.environment(image)
    ended = pair.workspace.done(pair.put_deployment("absent", environmentId=environment))
    assert ended["error"]["code"] == "BadArgument"
    assert image in ended["error"]["message"]
    pair.workspace.cloud.admin("DELETE", f"endpoints/{pair.name}/absent")


# Access and figures -----------------------------------------------------------------------------------------------------


def test_endpoints_are_also_asked_with_tokens(workspace: Workspace) -> None:
    own = workspace.endpoint(authMode="AMLToken")
    own.deploy("blue")
    token = workspace.arm("POST", f"{own.path}/token").json()["accessToken"]
    assert own.ask(deployment="blue", secret=token).status_code == 200
    assert own.ask(deployment="blue", secret="other").status_code == 401
    own.shift({}, authMode="AADToken")
    entra = workspace.credential.get_token("https://ml.azure.com/.default").token
    other = workspace.credential.get_token("https://management.azure.com/.default").token
    assert own.ask(deployment="blue", secret=entra).status_code == 200
    assert own.ask(deployment="blue", secret=other).status_code == 401


def test_memory_is_told_as_a_share_of_the_instance(pair: Endpoint) -> None:
    (series,) = pair.metric("CpuMemoryUtilizationPercentage", deployment="blue", aggregation="maximum")
    (point,) = series["data"]
    told = point["maximum"] / 100 * 7 * 2**30
    assert 30e6 < told < 500e6
    assert told == pytest.approx(pair.process("blue")["peak"], rel=0.1)


def test_a_window_counts_only_what_was_asked_in_it(pair: Endpoint) -> None:
    pair.ask(deployment="blue")
    path = f"{pair.path}/deployments/blue/providers/microsoft.insights/metrics"
    span = "2020-01-01T00:00:10Z/2020-01-01T00:01:20Z"
    answer = pair.workspace.arm("GET", path, metricnames="RequestsPerMinute", timespan=span).json()
    (series,) = answer["value"][0]["timeseries"]
    assert [point["timeStamp"] for point in series["data"]] == ["2020-01-01T00:00:00.000Z", "2020-01-01T00:01:00.000Z"]
    assert total([series]) == 0


@pytest.mark.parametrize(
    "query",
    [
        {"metricnames": "Nothing"},
        {"metricnames": "RequestsPerMinute", "interval": "PT5M"},
        {"metricnames": "RequestsPerMinute", "$filter": "colour eq 'red'"},
        {"metricnames": "RequestsPerMinute", "timespan": "yesterday"},
        {},
    ],
    ids=["metric", "interval", "dimension", "timespan", "no metric"],
)
def test_a_question_that_azure_monitor_does_not_take_is_refused(pair: Endpoint, query: dict[str, str]) -> None:
    pair.ask(deployment="blue")
    answer = pair.workspace.arm("GET", f"{pair.path}/providers/microsoft.insights/metrics", **query)
    assert answer.status_code == 400


def test_the_script_may_come_as_an_asset_of_its_own(workspace: Workspace) -> None:
    uri = workspace.upload({"service/score.py": SCRIPT})
    code = workspace.arm("PUT", "/codes/mine/versions/1", {"properties": {"codeUri": f"{uri}/service"}}).json()["id"]
    endpoint = workspace.endpoint()
    endpoint.deploy(
        "blue",
        model=workspace.model({"weights.txt": "1"}),
        codeConfiguration={"codeId": code, "scoringScript": "score.py"},
        environmentVariables={"ANSWER": "from code"},
    )
    assert endpoint.ask(deployment="blue").json()["answer"] == "from code"
