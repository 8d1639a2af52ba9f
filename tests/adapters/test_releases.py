"""Pipelines of Azure DevOps and workflows of GitHub: started once, found again, and only ever at their two hosts."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from tests.adapters.scripted_azure import Asked, ScriptedAzure
from tidegate.adapters.serving.release_calls import ReleaseCalls
from tidegate.adapters.serving.releases import ReleasePipelines, delivery_id
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.models.model_gate import ReleasePipeline
from tidegate.references import ModelRef

MODEL = ModelRef("vision", "digits", "7")
DELIVERY = "model-delivery:vision/digits:7"
ID = delivery_id(DELIVERY, "pro")
INPUTS = {"model": "digits", "version": "7", "workspace": "vision", "stage": "pro", "delivery": ID}
DEVOPS = ReleasePipeline("azure-devops", "contoso/ML Ops", "12", "main", 3600)
GITHUB = ReleasePipeline("github", "contoso/ml-ops", "deliver.yml", "release/1", 3600)
RUNS = "/contoso/ML Ops/_apis/pipelines/12/runs"
WORKFLOW = "/repos/contoso/ml-ops/actions/workflows/deliver.yml"


class VaultOfTwo:
    """A vault with the two tokens."""

    def get(self, name: str) -> str:
        return {"devops": "pat-1", "github": "ghp-1"}[name]


@pytest.fixture
def releases(azure: ScriptedAzure) -> Iterator[ReleasePipelines]:
    azure.answers[f"GET {RUNS}"] = {"value": []}
    azure.answers[f"GET {WORKFLOW}/runs"] = {"workflow_runs": []}
    with contextlib.closing(ReleasePipelines(VaultOfTwo(), "devops", "github")) as each:
        yield each


def start(releases: ReleasePipelines, pipeline: ReleasePipeline) -> str:
    return releases.start(pipeline, MODEL, "pro", DELIVERY)


# Azure DevOps


def test_a_pipeline_gets_the_version_and_its_branch(releases: ReleasePipelines, azure: ScriptedAzure) -> None:
    azure.answers[f"POST {RUNS}"] = {"id": 345, "state": "inProgress"}
    assert start(releases, DEVOPS) == "345"
    asked = azure.seen[-1]
    assert (asked.host, asked.query) == ("dev.azure.com", {"api-version": "7.1"})
    assert asked.json == {
        "templateParameters": INPUTS,
        "resources": {"repositories": {"self": {"refName": "refs/heads/main"}}},
    }
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(b":pat-1").decode()


def test_a_pipeline_that_was_started_is_found_by_the_delivery(releases: ReleasePipelines, azure: ScriptedAzure) -> None:
    other = {"id": 1, "templateParameters": {"delivery": delivery_id(DELIVERY, "int")}}
    azure.answers[f"GET {RUNS}"] = {"value": [{"id": 3}, other, {"id": 2, "templateParameters": INPUTS}]}
    assert start(releases, DEVOPS) == "2"
    assert azure.calls("POST") == []


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ({"state": "inProgress"}, ("running", "")),
        ({"state": "canceling"}, ("running", "")),
        ({"state": "completed", "result": "succeeded"}, ("succeeded", "")),
        ({"state": "completed", "result": "failed"}, ("failed", "run 345 is failed")),
        ({"state": "completed", "result": "canceled"}, ("failed", "run 345 is canceled")),
        ({"state": "completed"}, ("failed", "run 345 is unknown")),
    ],
)
def test_a_run_of_a_pipeline_is_what_it_says(
    releases: ReleasePipelines, azure: ScriptedAzure, run: dict[str, Any], expected: tuple[str, str]
) -> None:
    azure.answers[f"GET {RUNS}/345"] = run
    assert releases.status(DEVOPS, "345") == expected


def test_a_page_to_sign_in_at_is_no_answer(releases: ReleasePipelines, azure: ScriptedAzure) -> None:
    azure.answers[f"GET {RUNS}"] = web.Response(status=203, body=b"<html>Sign in</html>", content_type="text/html")
    with pytest.raises(TransientError, match="203"):
        start(releases, DEVOPS)


# GitHub


def test_a_workflow_gets_the_version_and_its_run_is_the_one_it_names(
    releases: ReleasePipelines, azure: ScriptedAzure
) -> None:
    azure.answers[f"POST {WORKFLOW}/dispatches"] = {"workflow_run_id": 678}
    assert start(releases, GITHUB) == "678"
    asked = azure.seen[-1]
    assert asked.host == "api.github.com"
    assert asked.json == {"ref": "release/1", "inputs": INPUTS, "return_run_details": True}
    assert asked.headers["authorization"] == "Bearer ghp-1"


def test_a_workflow_that_was_started_is_found_by_its_name(releases: ReleasePipelines, azure: ScriptedAzure) -> None:
    titles = [f"Deliver x{ID}", "Deliver", f"Deliver digits:7 to pro ({ID})"]
    azure.answers[f"GET {WORKFLOW}/runs"] = {
        "workflow_runs": [{"id": number, "display_title": title} for number, title in enumerate(titles, 1)]
    }
    assert start(releases, GITHUB) == "3"
    assert azure.calls("POST") == []


def test_a_run_that_is_not_listed_yet_is_not_started_twice(releases: ReleasePipelines, azure: ScriptedAzure) -> None:
    azure.answers[f"POST {WORKFLOW}/dispatches"] = web.Response(status=204)
    for _ in range(2):
        with pytest.raises(TransientError, match="not listed yet"):
            start(releases, GITHUB)
    assert len(azure.calls("POST")) == 1
    azure.answers[f"GET {WORKFLOW}/runs"] = {"workflow_runs": [{"id": 9, "display_title": f"Deliver {ID}"}]}
    assert start(releases, GITHUB) == "9"


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ({"status": "queued"}, ("running", "")),
        ({"status": "in_progress"}, ("running", "")),
        ({"status": "completed", "conclusion": "success"}, ("succeeded", "")),
        ({"status": "completed", "conclusion": "failure"}, ("failed", "run 678 is failure")),
        ({"status": "completed", "conclusion": "skipped"}, ("failed", "run 678 is skipped")),
    ],
)
def test_a_run_of_a_workflow_is_what_it_says(
    releases: ReleasePipelines, azure: ScriptedAzure, run: dict[str, Any], expected: tuple[str, str]
) -> None:
    azure.answers["GET /repos/contoso/ml-ops/actions/runs/678"] = run
    assert releases.status(GITHUB, "678") == expected


# Both


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (web.json_response({"message": "no such workflow"}, status=404), PermanentError),
        (web.json_response({"message": "unexpected inputs"}, status=422), PermanentError),
        (web.json_response({"message": "bad credentials"}, status=401), TransientError),
        (web.json_response({"message": "limit"}, status=403, headers={"x-ratelimit-remaining": "0"}), TransientError),
        (web.json_response({"message": "not yours"}, status=403), PermanentError),
        (web.Response(status=302, headers={"Location": "https://storage.evil.example/"}), TransientError),
        (web.Response(status=503), TransientError),
    ],
    ids=["missing", "inputs", "token", "rate limit", "forbidden", "redirect", "down"],
)
def test_a_refusal_is_for_good_and_anything_else_is_tried_again(
    releases: ReleasePipelines, azure: ScriptedAzure, answer: web.Response, expected: type[Exception]
) -> None:
    azure.answers[f"POST {WORKFLOW}/dispatches"] = answer
    with pytest.raises(expected) as caught:
        start(releases, GITHUB)
    assert "ghp-1" not in str(caught.value)
    assert {each.host for each in azure.seen} == {"api.github.com"}


@pytest.mark.parametrize(
    "pipeline",
    [
        ReleasePipeline("azure-devops", "storage.evil.example#/x", "12", "main", 1),
        ReleasePipeline("azure-devops", "contoso/../x", "12", "main", 1),
        ReleasePipeline("azure-devops", "contoso/ml", "12/../13", "main", 1),
        ReleasePipeline("azure-devops", "contoso/ml?x=/y", "12", "main", 1),
        ReleasePipeline("github", "contoso/ml", "../../user", "main", 1),
        ReleasePipeline("github", "@storage.evil.example/ml", "deliver.yml", "main", 1),
        ReleasePipeline("github", "contoso/ml", "deliver.yml", "a..b", 1),
    ],
)
def test_a_project_is_never_a_host_nor_a_way_out_of_the_path(
    releases: ReleasePipelines, azure: ScriptedAzure, pipeline: ReleasePipeline
) -> None:
    with pytest.raises(PermanentError, match="no pipeline of"):
        start(releases, pipeline)
    assert azure.seen == []


@pytest.mark.parametrize("run", ["", "../1", "1?x", "0", "abc"])
def test_a_run_is_a_number(releases: ReleasePipelines, azure: ScriptedAzure, run: str) -> None:
    with pytest.raises(PermanentError, match="no id of a run"):
        releases.status(GITHUB, run)
    assert azure.seen == []


def test_two_stages_of_one_delivery_are_two_runs() -> None:
    assert delivery_id(DELIVERY, "int") != delivery_id(DELIVERY, "pro")


def test_an_answer_that_is_lost_is_tried_again(releases: ReleasePipelines, azure: ScriptedAzure) -> None:
    def too_long(asked: Asked) -> web.Response:
        return web.Response(body=b" " * (5 << 20), content_type="application/json")

    azure.answers[f"GET {RUNS}"] = too_long
    with pytest.raises(TransientError):
        start(releases, DEVOPS)


def test_a_part_of_a_path_stays_one_part(azure: ScriptedAzure) -> None:
    with contextlib.closing(ReleaseCalls("api.github.com", {})) as calls, pytest.raises(PermanentError, match="404"):
        calls.call("GET", ("repos", "a/../b?c#d"), "token")
    assert azure.seen[-1].path == "/repos/a/../b?c#d"
    assert azure.seen[-1].query == {}
