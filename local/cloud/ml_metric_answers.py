"""Questions to Azure Monitor and its answers, as values: names, filters, times, series. What is measured is in ml_metrics."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiohttp import web

from local import world
from local.cloud.arm import ArmCall
from local.cloud.errors import ArmError

MINUTE = 60
_LONGEST_S = 25 * 3600
_TERM = re.compile(r"\s*(\w+)\s+(eq|ne)\s+'([^']*)'\s*", re.IGNORECASE)
_AGGREGATIONS = ("average", "minimum", "maximum", "total", "count")
_NAMES = (
    "RequestsPerMinute",
    "RequestLatency",
    *(f"RequestLatency_P{each}" for each in (50, 90, 95, 99)),
    "CpuMemoryUtilizationPercentage",
    "DeploymentCapacity",
)
"""Of both resources; a resource that lacks one refuses it itself."""

type Point = tuple[float, dict[str, float]]
"""Start of a minute (Unix time), and what is known of it by aggregation."""
type Term = tuple[str, str, str]
"""(dimension, eq or ne, value); the value `*` is any."""
type Series = dict[str, Any]
"""One metric for one combination of dimensions, as it is answered."""


def answer(call: ArmCall, resource: str, measure: Callable[[str, list[Term]], list[Series]]) -> web.Response:
    """Every metric that the query names, as `measure` has it. ArmError 400: a query that Azure Monitor does not take."""
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
    values = [_metric(resource, name, measure(exact(name), terms), wanted) for name in names]
    start, end = timespan(call)
    head = {"cost": 0, "timespan": f"{_text(start)}/{_text(end)}", "interval": "PT1M", "resourceregion": world.LOCATION}
    return web.json_response({**head, "value": values})


def timespan(call: ArmCall) -> tuple[float, float]:
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


def one_series(dimensions: Mapping[str, str], points: Iterable[Point]) -> Series:
    """Points with the values of the dimensions that they are of."""
    metadata = [
        {"name": {"value": key.lower(), "localizedValue": key.lower()}, "value": value}
        for key, value in dimensions.items()
    ]
    return {"metadatavalues": metadata, "data": [{"timeStamp": _text(at), **values} for at, values in points]}


def of_now(span: tuple[float, float], values: dict[str, float]) -> list[Series]:
    """A series of one point, in the minute that goes on; none when the timespan ended before it."""
    minute = time.time() // MINUTE * MINUTE
    return [one_series({}, [(minute, values)])] if minute <= span[1] else []


def exact(name: str) -> str:
    """Names are compared without case."""
    found = next((each for each in _NAMES if each.lower() == name.lower()), None)
    if found is None:
        raise ArmError(400, "BadRequest", f"The metric '{name}' is not one of this resource.")
    return found


def _metric(resource: str, name: str, series: list[Series], wanted: set[str]) -> dict[str, Any]:
    for each in series:
        each["data"] = [
            {key: value for key, value in point.items() if key in {"timeStamp", *wanted}} for point in each["data"]
        ]
    name = exact(name)
    units = {"RequestL": "MilliSeconds", "CpuMemor": "Percent"}
    return {
        "id": f"{resource}/providers/Microsoft.Insights/metrics/{name}",
        "type": "Microsoft.Insights/metrics",
        "name": {"value": name, "localizedValue": name},
        "unit": units.get(name[:8], "Count"),
        "errorCode": "Success",
        "timeseries": series,
    }


def _filter(text: str) -> list[Term]:
    """Terms joined by `and`."""
    if not text:
        return []
    terms = [_TERM.fullmatch(part) for part in re.split(r"\band\b", text, flags=re.IGNORECASE)]
    if not all(terms):
        raise ArmError(400, "BadRequest", f"The filter '{text}' is not understood: only eq and ne, joined by and, are.")
    return [(term[1], term[2], term[3]) for term in terms if term is not None]


def _text(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
