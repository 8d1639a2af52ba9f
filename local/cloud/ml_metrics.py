"""Stand-in for Azure Monitor's metrics of online endpoints and their deployments: what was asked, how fast, and memory.

Emulated. One route answers for both, as Azure Monitor's list of metrics does:

    GET {resource}/providers/microsoft.insights/metrics
        ?api-version=2018-01-01            any well-formed version
        &metricnames=RequestsPerMinute,RequestLatency_P95
        &timespan=2026-01-31T10:00:00Z/2026-01-31T10:05:00Z
        &interval=PT1M                     PT1M alone: the grain that Azure documents for these metrics
        &aggregation=average               average, minimum, maximum, total, count
        &$filter=deployment eq 'blue' and statusCodeClass eq '*'

`{resource}` is `.../workspaces/{w}/onlineEndpoints/{e}` or the same with `/deployments/{d}`. It takes the permission
`Microsoft.Insights/metrics/read` on the workspace. Names and dimensions are those of Azure Monitor's "Supported metrics
for Microsoft.MachineLearningServices/workspaces/onlineEndpoints" and ".../onlineEndpoints/deployments":

    endpoint     RequestsPerMinute                          deployment, statusCode, statusCodeClass, modelStatusCode
                 RequestLatency, RequestLatency_P50 ... P99  deployment                        (milliseconds)
    deployment   RequestsPerMinute                          envoy_response_code
                 RequestLatency_P50 ... P99                 none                              (milliseconds)
                 CpuMemoryUtilizationPercentage             instanceId     (percent of the memory of one instance)
                 DeploymentCapacity                         instanceId, State

The answer is Azure Monitor's: `{"value": [{"name": {"value": ...}, "unit": ..., "timeseries": [{"metadatavalues":
[{"name": {"value": "deployment"}, "value": "blue"}], "data": [{"timeStamp": ..., "average": ...}]}]}]}`, one series for
each value of a dimension that the filter names with `eq '*'` or `eq 'x'`. The average (and total) of RequestsPerMinute is
the number of requests of that minute: the requests of a window are the sum over its minutes.

The metrics of an endpoint count what its callers asked for; those of a deployment count all that it was sent, mirrored
copies included. Unverified: that Azure counts mirrored copies so, and which classes statusCodeClass has ("2xx").

Finer than Azure: a minute that the timespan cuts holds only the requests inside the timespan, and everything is there at
once, where Azure reports whole minutes, and late.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterable, Mapping

from aiohttp import web

from local.cloud.arm import ArmCall
from local.cloud.core import Cloud
from local.cloud.errors import ArmError
from local.cloud.ml_deployments import DEPLOYMENT
from local.cloud.ml_endpoints import ENDPOINT, Endpoints
from local.cloud.ml_metric_answers import MINUTE, Point, Series, Term, answer, of_now, one_series, timespan
from local.cloud.ml_online import Endpoint
from local.cloud.ml_requests import Asked, Requests
from local.cloud.ml_serving import Serving

_METRICS = "/providers/microsoft.insights/metrics"
_LATENCY = re.compile(r"RequestLatency(?:_P(50|90|95|99))?")


def install(cloud: Cloud, endpoints: Endpoints, serving: Serving, requests: Requests) -> None:
    """Add the two routes."""
    metrics = _Metrics(endpoints, serving, requests)
    cloud.arm.add("GET", ENDPOINT + _METRICS, metrics.of_endpoint)
    cloud.arm.add("GET", DEPLOYMENT + _METRICS, metrics.of_deployment)


class _Metrics:
    def __init__(self, endpoints: Endpoints, serving: Serving, requests: Requests) -> None:
        self._endpoints = endpoints
        self._serving = serving
        self._requests = requests

    async def of_endpoint(self, call: ArmCall) -> web.Response:
        """What its callers asked for."""
        endpoint = self._endpoints.find(call)
        start, end = timespan(call)
        asked = [each for each in self._requests.between(endpoint.name, start, end) if not each.mirrored]

        def measure(name: str, terms: list[Term]) -> list[Series]:
            dimensions = _ENDPOINT_DIMENSIONS if name == "RequestsPerMinute" else {"deployment": _by_deployment}
            return _of_requests(name, asked, dimensions, terms, (start, end))

        return answer(call, endpoint.id, measure)

    async def of_deployment(self, call: ArmCall) -> web.Response:
        """All that it was sent, and what it needs."""
        endpoint = self._endpoints.find(call)
        name = endpoint.deployment(call.names["deployment"]).name
        start, end = timespan(call)
        between = self._requests.between(endpoint.name, start, end)
        asked = [each for each in between if each.deployment == name.lower()]

        def measure(metric: str, terms: list[Term]) -> list[Series]:
            match metric:
                case "CpuMemoryUtilizationPercentage":
                    return self._memory(endpoint, name, (start, end))
                case "DeploymentCapacity":
                    return self._capacity(endpoint, name, (start, end))
                case _:
                    codes = {"envoy_response_code": _by_model_status} if metric == "RequestsPerMinute" else {}
                    return _of_requests(metric, asked, codes, terms, (start, end))

        return answer(call, f"{endpoint.id}/deployments/{name}", measure)

    def _memory(self, endpoint: Endpoint, name: str, span: tuple[float, float]) -> list[Series]:
        """Of the minute that goes on; its maximum is the peak since the server started, not of the minute alone."""
        served = self._serving.served(endpoint, name)
        if served is None:
            return []
        now, peak = served.server.memory()
        percent = 100 / served.server.launch.memory
        return of_now(span, {"average": now * percent, "minimum": now * percent, "maximum": peak * percent})

    def _capacity(self, endpoint: Endpoint, name: str, span: tuple[float, float]) -> list[Series]:
        served = self._serving.served(endpoint, name)
        if served is None:
            return []
        return of_now(span, dict.fromkeys(("average", "minimum", "maximum"), float(served.server.launch.instances)))


def _by_deployment(asked: Asked) -> str:
    return asked.deployment


def _by_model_status(asked: Asked) -> str:
    return str(asked.model_status or asked.status or 408)


_ENDPOINT_DIMENSIONS: Mapping[str, Callable[[Asked], str]] = {
    "deployment": _by_deployment,
    "statusCode": lambda asked: str(asked.status),
    "statusCodeClass": lambda asked: f"{asked.status // 100}xx",
    "modelStatusCode": lambda asked: str(asked.model_status),
}


def _of_requests(
    name: str,
    asked: Iterable[Asked],
    dimensions: Mapping[str, Callable[[Asked], str]],
    terms: list[Term],
    span: tuple[float, float],
) -> list[Series]:
    """One series for each combination of the dimensions that the filter names. ArmError 400: no such metric or dimension."""
    if name != "RequestsPerMinute" and not _LATENCY.fullmatch(name):
        raise ArmError(400, "BadRequest", f"The metric '{name}' is not one of this resource.")
    known = {key.lower(): key for key in dimensions}
    for dimension, _, _ in terms:
        if dimension.lower() not in known:
            raise ArmError(400, "BadRequest", f"The metric {name} has no dimension '{dimension}'.")
    named = list(dict.fromkeys(known[dimension.lower()] for dimension, _, _ in terms))
    series: dict[tuple[str, ...], list[Asked]] = {} if named else {(): []}
    for each in asked:
        if all(_meets(dimensions[known[key.lower()]](each), verb, value) for key, verb, value in terms):
            series.setdefault(tuple(dimensions[key](each) for key in named), []).append(each)
    return [one_series(dict(zip(named, values, strict=True)), _points(name, of, span)) for values, of in series.items()]


def _meets(value: str, verb: str, wanted: str) -> bool:
    equal = wanted == "*" or value.lower() == wanted.lower()
    return equal if verb.lower() == "eq" else not equal


def _points(name: str, asked: Iterable[Asked], span: tuple[float, float]) -> list[Point]:
    minutes: dict[float, list[float]] = {}
    for each in asked:
        minutes.setdefault(each.at - each.at % MINUTE, []).append(each.seconds * 1000)
    first = int(span[0] - span[0] % MINUTE)
    return [
        (minute, _measured(name, minutes[minute]) if minute in minutes else {})
        for minute in map(float, range(first, math.ceil(span[1]), MINUTE))
    ]


def _measured(name: str, milliseconds: list[float]) -> dict[str, float]:
    if name == "RequestsPerMinute":
        requests = float(len(milliseconds))
        return {"average": requests, "total": requests, "minimum": requests, "maximum": requests, "count": 1.0}
    found = _LATENCY.fullmatch(name)
    if found is None:
        raise ArmError(400, "BadRequest", f"The metric '{name}' is not one of this resource.")
    if found[1]:
        ordered = sorted(milliseconds)
        value = ordered[min(len(ordered) - 1, math.ceil(len(ordered) * int(found[1]) / 100) - 1)]
    else:
        value = statistics.fmean(milliseconds)
    return {"average": value, "minimum": value, "maximum": value, "count": float(len(milliseconds))}
