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

import datetime as dt
import math
import re
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiohttp import web

from local import world
from local.cloud.arm import ArmCall
from local.cloud.core import Cloud
from local.cloud.errors import ArmError
from local.cloud.ml_deployments import DEPLOYMENT
from local.cloud.ml_endpoints import ENDPOINT, Endpoints
from local.cloud.ml_online import Endpoint
from local.cloud.ml_requests import Asked, Requests
from local.cloud.ml_serving import Serving

_METRICS = "/providers/microsoft.insights/metrics"
_MINUTE = 60
_LONGEST_S = 25 * 3600
_TERM = re.compile(r"\s*(\w+)\s+(eq|ne)\s+'([^']*)'\s*", re.IGNORECASE)
_LATENCY = re.compile(r"RequestLatency(?:_P(50|90|95|99))?")
_AGGREGATIONS = ("average", "minimum", "maximum", "total", "count")

type Point = tuple[float, dict[str, float]]
"""Start of a minute (Unix time), and what is known of it by aggregation."""


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
        start, end = _timespan(call)
        asked = [each for each in self._requests.between(endpoint.name, start, end) if not each.mirrored]

        def measure(name: str, terms: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
            dimensions = _ENDPOINT_DIMENSIONS if name == "RequestsPerMinute" else {"deployment": _by_deployment}
            return _of_requests(name, asked, dimensions, terms, (start, end))

        return _answer(call, endpoint.id, measure)

    async def of_deployment(self, call: ArmCall) -> web.Response:
        """All that it was sent, and what it needs."""
        endpoint = self._endpoints.find(call)
        name = endpoint.deployment(call.names["deployment"]).name
        start, end = _timespan(call)
        between = self._requests.between(endpoint.name, start, end)
        asked = [each for each in between if each.deployment == name.lower()]

        def measure(metric: str, terms: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
            match metric:
                case "CpuMemoryUtilizationPercentage":
                    return self._memory(endpoint, name, (start, end))
                case "DeploymentCapacity":
                    return self._capacity(endpoint, name, (start, end))
                case _:
                    codes = {"envoy_response_code": _by_model_status} if metric == "RequestsPerMinute" else {}
                    return _of_requests(metric, asked, codes, terms, (start, end))

        return _answer(call, f"{endpoint.id}/deployments/{name}", measure)

    def _memory(self, endpoint: Endpoint, name: str, span: tuple[float, float]) -> list[dict[str, Any]]:
        """Of the minute that goes on; its maximum is the peak since the server started, not of the minute alone."""
        served = self._serving.served(endpoint, name)
        if served is None:
            return []
        now, peak = served.server.memory()
        percent = 100 / served.server.launch.memory
        return _now(span, {"average": now * percent, "minimum": now * percent, "maximum": peak * percent})

    def _capacity(self, endpoint: Endpoint, name: str, span: tuple[float, float]) -> list[dict[str, Any]]:
        served = self._serving.served(endpoint, name)
        if served is None:
            return []
        return _now(span, dict.fromkeys(("average", "minimum", "maximum"), float(served.server.launch.instances)))


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
    terms: list[tuple[str, str, str]],
    span: tuple[float, float],
) -> list[dict[str, Any]]:
    """One series for each combination of the dimensions that the filter names."""
    known = {key.lower(): key for key in dimensions}
    for dimension, _, _ in terms:
        if dimension.lower() not in known:
            raise ArmError(400, "BadRequest", f"The metric {name} has no dimension '{dimension}'.")
    named = list(dict.fromkeys(known[dimension.lower()] for dimension, _, _ in terms))
    series: dict[tuple[str, ...], list[Asked]] = {} if named else {(): []}
    for each in asked:
        if all(_meets(dimensions[known[key.lower()]](each), verb, value) for key, verb, value in terms):
            series.setdefault(tuple(dimensions[key](each) for key in named), []).append(each)
    return [_series(dict(zip(named, values, strict=True)), _points(name, of, span)) for values, of in series.items()]


def _meets(value: str, verb: str, wanted: str) -> bool:
    equal = wanted == "*" or value.lower() == wanted.lower()
    return equal if verb.lower() == "eq" else not equal


def _points(name: str, asked: Iterable[Asked], span: tuple[float, float]) -> list[Point]:
    minutes: dict[float, list[float]] = {}
    for each in asked:
        minutes.setdefault(each.at - each.at % _MINUTE, []).append(each.seconds * 1000)
    first = int(span[0] - span[0] % _MINUTE)
    return [
        (minute, _measured(name, minutes[minute]) if minute in minutes else {})
        for minute in map(float, range(first, math.ceil(span[1]), _MINUTE))
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


def _now(span: tuple[float, float], values: dict[str, float]) -> list[dict[str, Any]]:
    """A series of one point, in the minute that goes on; none when the timespan ended before it."""
    minute = time.time() // _MINUTE * _MINUTE
    return [_series({}, [(minute, values)])] if minute <= span[1] else []


def _series(dimensions: Mapping[str, str], points: Iterable[Point]) -> dict[str, Any]:
    metadata = [
        {"name": {"value": key.lower(), "localizedValue": key.lower()}, "value": value}
        for key, value in dimensions.items()
    ]
    return {"metadatavalues": metadata, "data": [{"timeStamp": _text(at), **values} for at, values in points]}


def _answer(
    call: ArmCall, resource: str, measure: Callable[[str, list[tuple[str, str, str]]], list[dict[str, Any]]]
) -> web.Response:
    query = {key.lower(): value for key, value in call.request.query.items()}
    if query.get("interval", "PT1M").upper() != "PT1M":
        raise ArmError(400, "BadRequest", f"The time grain '{query['interval']}' is not supported; PT1M is.")
    wanted = {each.strip().lower() for each in query.get("aggregation", "average").split(",")}
    if unknown := wanted - {*_AGGREGATIONS}:
        raise ArmError(400, "BadRequest", f"The aggregation '{min(unknown)}' is not known.")
    terms = _filter(query.get("$filter", ""))
    names = [each.strip() for each in query.get("metricnames", "").split(",") if each.strip()]
    if not names:
        raise ArmError(400, "BadRequest", "The query names no metricnames.")
    values = [_metric(resource, name, measure(_exact(name), terms), wanted) for name in names]
    start, end = _timespan(call)
    head = {"cost": 0, "timespan": f"{_text(start)}/{_text(end)}", "interval": "PT1M", "resourceregion": world.LOCATION}
    return web.json_response({**head, "value": values})


def _metric(resource: str, name: str, series: list[dict[str, Any]], wanted: set[str]) -> dict[str, Any]:
    for each in series:
        each["data"] = [
            {key: value for key, value in point.items() if key in {"timeStamp", *wanted}} for point in each["data"]
        ]
    name = _exact(name)
    unit = (
        "Percent" if name.endswith("Percentage") else "MilliSeconds" if name.startswith("RequestLatency") else "Count"
    )
    return {
        "id": f"{resource}/providers/Microsoft.Insights/metrics/{name}",
        "type": "Microsoft.Insights/metrics",
        "name": {"value": name, "localizedValue": name},
        "unit": unit,
        "errorCode": "Success",
        "timeseries": series,
    }


_NAMES = (
    "RequestsPerMinute",
    "RequestLatency",
    *(f"RequestLatency_P{each}" for each in (50, 90, 95, 99)),
    "CpuMemoryUtilizationPercentage",
    "DeploymentCapacity",
)


def _exact(name: str) -> str:
    """Names are compared without case."""
    found = next((each for each in _NAMES if each.lower() == name.lower()), None)
    if found is None:
        raise ArmError(400, "BadRequest", f"The metric '{name}' is not one of this resource.")
    return found


def _filter(text: str) -> list[tuple[str, str, str]]:
    """Terms joined by `and`."""
    if not text:
        return []
    terms = [_TERM.fullmatch(part) for part in re.split(r"\band\b", text, flags=re.IGNORECASE)]
    if not all(terms):
        raise ArmError(400, "BadRequest", f"The filter '{text}' is not understood: only eq and ne, joined by and, are.")
    return [(term[1], term[2], term[3]) for term in terms if term is not None]


def _timespan(call: ArmCall) -> tuple[float, float]:
    """Unix times; the last hour when the query has none. ArmError 400: it is none, or much longer than a day."""
    text = call.request.query.get("timespan", "")
    now = time.time()
    if not text:
        return now - 3600, now
    try:
        start, end = (dt.datetime.fromisoformat(each.replace(" ", "+")).timestamp() for each in text.split("/"))
    except ValueError as error:
        raise ArmError(400, "BadRequest", f"The timespan '{text}' is not two times.") from error
    if not 0 < end - start <= _LONGEST_S:
        raise ArmError(400, "BadRequest", f"The timespan '{text}' is empty, or longer than a day and an hour.")
    return start, end


def _text(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
