"""Figures of Azure Monitor: sums over minutes, by deployment, without what is a caller's own fault."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from aiohttp import web

from tests.adapters.ml_world import workspace
from tests.adapters.scripted_azure import Asked, Identity, ScriptedAzure
from tidegate.adapters.arm import Arm
from tidegate.adapters.serving.azure_metrics import AzureMetrics
from tidegate.errors import TransientError
from tidegate.flows.models.model_facts import Traffic

NOW = datetime.datetime(2026, 3, 2, 8, 10, tzinfo=datetime.UTC)
SINCE = NOW - datetime.timedelta(minutes=5)
ENDPOINT = f"{workspace('vision')}/onlineEndpoints/digits"
DEPLOYMENT = f"{ENDPOINT}/deployments/blue"
METRICS = "/providers/Microsoft.Insights/metrics"


@pytest.fixture
def metrics(azure: ScriptedAzure) -> Iterator[AzureMetrics]:
    with contextlib.closing(Arm(Identity())) as arm:
        yield AzureMetrics(arm, lambda: NOW)


def series(dimensions: Mapping[str, str], *values: float | None) -> dict[str, Any]:
    """One value a minute, as Azure Monitor writes it."""
    data = [
        {"timeStamp": f"2026-03-02T08:0{minute}:00Z", **({} if value is None else {"average": value})}
        for minute, value in enumerate(values)
    ]
    return {
        "metadatavalues": [{"name": {"value": name}, "value": value} for name, value in dimensions.items()],
        "data": data,
    }


def answering(azure: ScriptedAzure, resource: str, by_metric: Mapping[str, list[dict[str, Any]]]) -> None:
    def answer(asked: Asked) -> dict[str, Any]:
        name = asked.query["metricnames"]
        return {"value": [{"name": {"value": name}, "unit": "Count", "timeseries": by_metric.get(name, [])}]}

    azure.answers[f"GET {resource}{METRICS}"] = answer


def test_live_figures_are_asked_of_the_endpoint_for_one_deployment(metrics: AzureMetrics, azure: ScriptedAzure) -> None:
    answering(azure, ENDPOINT, {})
    assert metrics.live(ENDPOINT, "blue", SINCE) == Traffic(0, 0, None)
    counted, latency = azure.seen
    assert counted.query["$filter"] == "deployment eq 'blue' and statusCode eq '*' and modelStatusCode eq '*'"
    assert latency.query["$filter"] == "deployment eq 'blue'"
    assert counted.query["timespan"] == "2026-03-02T08:05:00.000000Z/2026-03-02T08:10:00.000000Z"
    assert (counted.query["interval"], counted.query["aggregation"]) == ("PT1M", "average")


def test_requests_are_the_sum_of_the_minutes_and_failures_are_not_the_callers_own(
    metrics: AzureMetrics, azure: ScriptedAzure
) -> None:
    answering(
        azure,
        ENDPOINT,
        {
            "RequestsPerMinute": [
                series({"deployment": "blue", "statusCode": "200"}, 10, None, 20),
                series({"deployment": "blue", "statusCode": "201"}, 1),
                series({"deployment": "blue", "statusCode": "400"}, 2),
                series({"deployment": "blue", "statusCode": "401"}, 1),
                series({"deployment": "blue", "statusCode": "424", "modelStatusCode": "422"}, 3),
                series({"deployment": "blue", "statusCode": "424", "modelStatusCode": "500"}, 4),
                series({"deployment": "blue", "statusCode": "424", "modelStatusCode": "NA"}, 5),
                series({"deployment": "blue", "statusCode": "408"}, 6),
                series({"deployment": "blue", "statusCode": "429"}, 7),
                series({"deployment": "blue", "statusCode": "503"}, 8),
                series({"deployment": "blue", "statusCode": "0"}, 9),
            ]
        },
    )
    found = metrics.live(ENDPOINT, "blue", SINCE)
    assert (found.requests, found.failed) == (76, 4 + 5 + 6 + 7 + 8 + 9)


def test_latency_is_each_minutes_own_weighed_by_its_requests(metrics: AzureMetrics, azure: ScriptedAzure) -> None:
    answering(
        azure,
        ENDPOINT,
        {
            "RequestsPerMinute": [series({"statusCode": "200"}, 30, 10)],
            "RequestLatency_P95": [series({"deployment": "blue"}, 100, 500, 0)],
        },
    )
    assert metrics.live(ENDPOINT, "blue", SINCE).p95 == pytest.approx(0.2)


def test_mirrored_copies_are_seen_at_the_deployment_alone(metrics: AzureMetrics, azure: ScriptedAzure) -> None:
    answering(
        azure,
        DEPLOYMENT,
        {
            "RequestsPerMinute": [series({"Envoy_Response_Code": "200"}, 5), series({"Envoy_Response_Code": "503"}, 1)],
            "RequestLatency_P95": [series({}, 250)],
        },
    )
    assert metrics.mirrored(DEPLOYMENT, SINCE) == Traffic(6, 1, 0.25)


def test_the_highest_value_is_looked_for_within_a_day(metrics: AzureMetrics, azure: ScriptedAzure) -> None:
    azure.answers[f"GET {DEPLOYMENT}{METRICS}"] = {
        "value": [
            {
                "name": {"value": "M"},
                "timeseries": [
                    {"data": [{"timeStamp": "t", "maximum": 3}]},
                    {"data": [{"timeStamp": "t", "maximum": 9}]},
                ],
            }
        ]
    }
    long_ago = datetime.datetime.min.replace(tzinfo=datetime.UTC)
    assert metrics.highest(DEPLOYMENT, "M", long_ago, "maximum") == 9
    assert azure.seen[-1].query["timespan"].startswith("2026-03-01T08:10:00")


def test_metrics_that_do_not_answer_are_transient(metrics: AzureMetrics, azure: ScriptedAzure) -> None:
    azure.answers[f"GET {ENDPOINT}{METRICS}"] = web.Response(status=503)
    with pytest.raises(TransientError, match="503"):
        metrics.live(ENDPOINT, "blue", SINCE)
