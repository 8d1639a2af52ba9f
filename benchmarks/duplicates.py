"""Events a second that the app takes of one event that it knows already, beside functions that do less.

A duplicate is what every event may be, and has to be told from work by reading what is known: one row. So the reference is a
function of the same host that reads one row of the same table with the same SDK and does nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import time
from collections.abc import Iterator, Sequence

from azure.data.tables import TableClient

from benchmarks.callers import Post, per_second
from benchmarks.figures import Aim, Figure, compared, rounds
from benchmarks.functions_hosts import event_post, hosted
from benchmarks.stage import push_event, staged
from local import world
from local.app_settings import app_settings
from local.image_blobs import push_blob_image
from local.site import Site

_CALLERS = 16
_TABLE = "tidegatestate"
_AIM = Aim("ratio", ">=", 0.6)
_PROMOTED_LIMIT_S = 60


def measure(*, quick: bool) -> Sequence[Figure]:
    """The first round of each does not count: connections are opened and pools filled."""
    seconds, count = (0.2, 1) if quick else (3.0, 5)
    with staged() as site, _posts(site) as posts:
        for post in posts.values():
            per_second(post, callers=_CALLERS, seconds=seconds)
        rates: dict[str, list[float]] = {name: [] for name in posts}
        for name in rounds(tuple(posts), count):
            rates[name].append(per_second(posts[name], callers=_CALLERS, seconds=seconds))
    return (
        compared("duplicate events / function that reads one row", rates["duplicate"], rates["one row"], "1/s", _AIM),
        compared("duplicate events / function that does nothing", rates["duplicate"], rates["no-op"], "1/s"),
        compared("one-row function / function that does nothing", rates["one row"], rates["no-op"], "1/s"),
    )


@contextlib.contextmanager
def _posts(site: Site) -> Iterator[dict[str, Post]]:
    """The same event to the app, which knows it, and to both other functions."""
    event, row = _known_event(site)
    body = json.dumps(event).encode()
    settings = app_settings(site.stack.storage_connection)
    settings |= {"ONE_ROW_TABLE": _TABLE, "ONE_ROW_PARTITION": row.partition, "ONE_ROW_KEY": row.key}
    with (
        hosted("no_op", settings, site.stack.state / "no-op", body) as no_op,
        hosted("one_row", settings, site.stack.state / "one-row", body) as one_row,
    ):
        app = event_post(site.stack.ports.functions, site.keys.event_grid, "image_pushed", body)
        yield {"no-op": no_op, "one row": one_row, "duplicate": app}


@dataclasses.dataclass(frozen=True, slots=True)
class _Row:
    """Where the record of the known image is."""

    partition: str
    key: str


def _known_event(site: Site) -> tuple[dict[str, object], _Row]:
    """An event whose image is promoted, so that its record is as large as records are."""
    repository, tag = "untested/known", "v1"
    image = push_blob_image(site.registry_url(world.STAGING), repository, None)
    now = datetime.datetime.now(datetime.UTC).isoformat()
    event = push_event(repository, tag, image.digest, "0b7a6f6e-benchmark", now)
    answer = site.deliver(event)
    if answer.status != 202:
        raise RuntimeError(f"the event was answered with {answer.status}")
    ends = time.monotonic() + _PROMOTED_LIMIT_S
    while not any(each["state"] == "Promoted" for each in site.promotions(repository)):
        if time.monotonic() > ends:
            raise RuntimeError(f"not promoted: {site.promotions(repository)}")
        time.sleep(0.1)
    with TableClient.from_connection_string(site.stack.storage_connection, _TABLE) as table:
        images = table.query_entities("RowKey eq 'record' and flow eq 'image-promotion'")
        (found,) = (row for row in images if image.digest in row["key"])
        return event, _Row(found["PartitionKey"], found["RowKey"])
