"""Requests to one deployment: their headers are their own, their time is bounded, and a renewed key is found."""

from __future__ import annotations

import contextlib
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.adapters.ml_world import workspace
from tests.adapters.scripted_azure import Identity, ScriptedAzure
from tidegate.adapters.serving.scoring_requests import DEPLOYMENT_HEADER, LIMIT, Key, ScoringRequests

HOST = "digits.westeurope.inference.ml.azure.com"
ADDRESS = f"https://{HOST}/score"
ENDPOINT = f"{workspace('vision')}/onlineEndpoints/digits"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scoring(azure: ScriptedAzure, clock: Clock) -> Iterator[ScoringRequests]:
    with contextlib.closing(ScoringRequests(clock)) as each:
        yield each


def key() -> Key:
    return ADDRESS, "key"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_the_sdk_remembers_a_deployment_and_its_key_and_we_do_not(
    azure: ScriptedAzure, scoring: ScoringRequests, tmp_path: Path
) -> None:
    """azure-ai-ml's own `invoke`, first for `blue`, then for whoever the traffic rules choose."""
    from azure.ai.ml import MLClient
    from azure.ai.ml.constants._endpoint import EndpointInvokeFields

    before = dict(EndpointInvokeFields.DEFAULT_HEADER)
    (tmp_path / "request.json").write_text("{}")
    resource = {
        "id": ENDPOINT,
        "name": "digits",
        "location": "westeurope",
        "properties": {"authMode": "Key", "scoringUri": ADDRESS, "traffic": {}, "provisioningState": "Succeeded"},
    }
    azure.resources[ENDPOINT] = resource
    blue = {
        "id": f"{ENDPOINT}/deployments/blue",
        "name": "blue",
        "location": "westeurope",
        "properties": {"endpointComputeType": "Managed", "scaleSettings": {"scaleType": "Default"}},
    }
    azure.answers[f"GET {ENDPOINT}/deployments"] = {"value": [blue]}
    azure.answers[f"POST {ENDPOINT}/listKeys"] = {"primaryKey": "key"}
    azure.answers["POST /score"] = web.Response(body=b"[7]")
    client: Any = MLClient(Identity(), "sub", "rg", "vision", enable_telemetry=False)
    try:
        for more in ({"deployment_name": "blue"}, {}):
            client.online_endpoints.invoke("digits", request_file=str(tmp_path / "request.json"), **more)
    finally:
        EndpointInvokeFields.DEFAULT_HEADER.clear()
        EndpointInvokeFields.DEFAULT_HEADER.update(before)
    for deployment in ("green", ""):
        scoring.ask("e", key, deployment, b"{}", 5)

    named, leaked, ours, unnamed = azure.calls("POST", "/score")
    assert [each.headers[DEPLOYMENT_HEADER] for each in (named, leaked, ours)] == ["blue", "blue", "green"]
    assert DEPLOYMENT_HEADER not in unnamed.headers


def test_an_answer_of_any_status_is_an_answer(azure: ScriptedAzure, scoring: ScoringRequests) -> None:
    for status in (200, 404, 424, 429, 503):
        azure.answers["POST /score"] = web.Response(status=status, body=b"words")
        answered = scoring.ask("e", key, "blue", b"{}", 5)
        assert (answered.status, answered.body) == (status, b"words")
        assert 0 < answered.seconds < 5


def test_no_answer_has_status_0(azure: ScriptedAzure, scoring: ScoringRequests) -> None:
    answered = scoring.ask("e", lambda: ("https://storage.unknown.example/score", ""), "blue", b"{}", 5)
    assert (answered.status, answered.body) == (0, b"")


def test_an_answer_that_is_too_slow_is_none(azure: ScriptedAzure, scoring: ScoringRequests) -> None:
    def slow(asked: object) -> web.Response:
        time.sleep(0.5)
        return web.Response(body=b"late")

    azure.answers["POST /score"] = slow
    answered = scoring.ask("e", key, "blue", b"{}", 0.1)
    assert (answered.status, answered.body) == (0, b"")
    assert answered.seconds < 0.4


def test_a_redirect_is_not_followed(azure: ScriptedAzure, scoring: ScoringRequests) -> None:
    azure.answers["POST /score"] = web.Response(status=307, headers={"Location": "https://storage.evil.example/"})
    assert scoring.ask("e", key, "blue", b"{}", 5).status == 307
    assert {each.host for each in azure.seen} == {HOST}


def test_a_long_answer_is_kept_up_to_a_mebibyte(azure: ScriptedAzure, scoring: ScoringRequests) -> None:
    azure.answers["POST /score"] = web.Response(body=b"x" * (LIMIT + 1))
    assert len(scoring.ask("e", key, "blue", b"{}", 5).body) == LIMIT


def test_a_key_is_asked_for_once_in_a_while(azure: ScriptedAzure, scoring: ScoringRequests, clock: Clock) -> None:
    azure.answers["POST /score"] = web.Response(body=b"[7]")
    asked: list[int] = []

    def find() -> Key:
        asked.append(1)
        return ADDRESS, f"key-{len(asked)}"

    for _ in range(2):
        scoring.ask("e", find, "blue", b"{}", 5)
    assert len(asked) == 1
    clock.now = 301
    scoring.ask("e", find, "blue", b"{}", 5)
    scoring.ask("another", find, "blue", b"{}", 5)
    assert len(asked) == 3


def test_a_key_that_is_refused_is_asked_for_again_once(azure: ScriptedAzure, scoring: ScoringRequests) -> None:
    keys = iter(("old", "new", "newer"))
    azure.answers["POST /score"] = lambda asked: web.Response(
        status=200 if asked.headers["authorization"] == "Bearer new" else 401
    )
    assert scoring.ask("e", lambda: (ADDRESS, next(keys)), "blue", b"{}", 5).status == 200
    azure.answers["POST /score"] = web.Response(status=401)
    assert scoring.ask("e", lambda: (ADDRESS, next(keys)), "blue", b"{}", 5).status == 401
    assert len(azure.calls("POST", "/score")) == 4


def test_a_server_that_does_not_listen_has_status_0(azure: ScriptedAzure, scoring: ScoringRequests) -> None:
    assert scoring.status("https://storage.unknown.example/", 1) == 0
    azure.answers["GET /"] = web.Response(status=502)
    assert scoring.status(f"https://{HOST}/", 1) == 502


def test_a_server_of_this_machine_is_not_asked_by_way_of_a_proxy(azure: ScriptedAzure) -> None:
    with contextlib.closing(ScoringRequests(direct=True)) as direct:
        assert direct.ask("e", key, "blue", b"{}", 1).status == 0
    assert azure.seen == []
    assert urllib.request.getproxies()  # or there would have been nothing to go round
