"""Figures of Azure Monitor: what a deployment was asked, how it answered, and the memory it took.

Names and dimensions are those of Azure Monitor's lists of supported metrics for online endpoints, their deployments and container
groups. Unverified: that a deployment's RequestsPerMinute counts mirrored copies, which is the only figure there is of them.
Azure reports whole minutes, a few minutes late; a step whose figures are not there yet has too few requests to be judged.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tidegate.adapters.arm import Arm
from tidegate.flows.models.model_facts import Traffic

_API = "2018-01-01"
_LONGEST = datetime.timedelta(days=1)
"""What one question about minutes may cover."""
_CALLERS_FAULT = frozenset(("400", "401", "403", "404", "405", "406", "413", "414", "415", "422"))
_MODEL_ERROR = "424"
"""What callers get for any answer of the model's container that is no 200; modelStatusCode says which (azure-docs:
how-to-troubleshoot-online-endpoints)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """One metric for one combination of its dimensions."""

    metric: str
    dimensions: Mapping[str, str]
    """By name in lower case: Azure writes them in any."""
    points: tuple[tuple[str, float], ...]
    """(minute, value)."""


class AzureMetrics:
    """Reads metrics of a resource by its ARM id."""

    def __init__(
        self, arm: Arm, now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC)
    ) -> None:
        self._arm = arm
        self._now = now

    def live(self, endpoint_id: str, deployment: str, since: datetime.datetime) -> Traffic:
        """What callers of the endpoint got from one deployment."""
        mine = f"deployment eq '{deployment}'"
        codes = f"{mine} and statusCode eq '*' and modelStatusCode eq '*'"
        counted = self._series(endpoint_id, "RequestsPerMinute", "average", since, codes)
        return _traffic(counted, self._series(endpoint_id, "RequestLatency_P95", "average", since, mine))

    def mirrored(self, deployment_id: str, since: datetime.datetime) -> Traffic:
        """What a deployment did with all that it was sent, copies included."""
        counted = self._series(deployment_id, "RequestsPerMinute", "average", since, "envoy_response_code eq '*'")
        return _traffic(counted, self._series(deployment_id, "RequestLatency_P95", "average", since, ""))

    def highest(self, resource_id: str, metric: str, since: datetime.datetime, aggregation: str) -> float | None:
        """The largest value of any minute and instance in the last day; None: none is there (yet)."""
        since = max(since, self._now() - _LONGEST)
        found = self._series(resource_id, metric, aggregation, since, "")
        return max((value for each in found for _, value in each.points), default=None)

    def _series(
        self, resource_id: str, metric: str, aggregation: str, since: datetime.datetime, where: str
    ) -> list[Series]:
        query = {
            "metricnames": metric,
            "timespan": f"{_utc(since)}/{_utc(self._now())}",
            "interval": "PT1M",
            "aggregation": aggregation,
            **({"$filter": where} if where else {}),
        }
        place = f"{resource_id}/providers/Microsoft.Insights/metrics"
        answer = self._arm.get(place, _API, f"metric {metric}", query)
        return list(_parsed(answer or {}, aggregation))


def _traffic(counted: list[Series], latency: list[Series]) -> Traffic:
    requests = {True: 0.0, False: 0.0}
    by_minute: dict[str, float] = {}
    for each in counted:
        for minute, count in each.points:
            requests[_failed(each.dimensions)] += count
            by_minute[minute] = by_minute.get(minute, 0.0) + count
    total, failed = round(sum(requests.values())), round(requests[True])
    return Traffic(total, min(failed, total), _p95(by_minute, latency))


def _p95(by_minute: Mapping[str, float], latency: list[Series]) -> float | None:
    """Seconds: the minutes' own percentiles, each as often as it had requests. Nothing finer is told."""
    weighed = [(by_minute.get(minute, 0.0), value) for each in latency for minute, value in each.points if value > 0]
    weight = sum(count for count, _ in weighed)
    if not weighed:
        return None
    mean = (
        sum(count * value for count, value in weighed) / weight if weight else sum(v for _, v in weighed) / len(weighed)
    )
    return mean / 1000


def _failed(dimensions: Mapping[str, str]) -> bool:
    """By the answer's status; what the model itself said counts where it is told. 0, no answer, is a failure."""
    status = dimensions.get("statuscode") or dimensions.get("envoy_response_code") or ""
    model = dimensions.get("modelstatuscode") or ""
    if status == _MODEL_ERROR and model.isdigit():
        status = model
    return not (status.startswith("2") or status in _CALLERS_FAULT)


def _parsed(answer: Mapping[str, Any], aggregation: str) -> Iterator[Series]:
    for metric in answer.get("value") or ():
        name = str((metric.get("name") or {}).get("value") or "")
        for one in metric.get("timeseries") or ():
            dimensions = {
                str((each.get("name") or {}).get("value") or "").lower(): str(each.get("value") or "")
                for each in one.get("metadatavalues") or ()
            }
            points = [(str(each.get("timeStamp")), each.get(aggregation)) for each in one.get("data") or ()]
            kept = tuple((minute, float(value)) for minute, value in points if value is not None)
            yield Series(name, dimensions, kept)


def _utc(moment: datetime.datetime) -> str:
    return f"{moment.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
