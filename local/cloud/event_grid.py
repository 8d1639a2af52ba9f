"""Stand-in for Azure Event Grid: topics, subscriptions, delivery with retries and dead letters, on disk before it answers.

Emulated. Each rule has its source in the docstring beside it (event_grid_*.py), and what could not be checked against
live Azure says "unverified" there.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote

from aiohttp import web

from local import world
from local.cloud.core import Cloud, Lifetime, Options
from local.cloud.event_grid_admin import Admin
from local.cloud.event_grid_api import DataPlane
from local.cloud.event_grid_blobs import NoStorage, StorageAccount
from local.cloud.event_grid_endpoints import HttpEndpoints
from local.cloud.event_grid_keys import FunctionsKeys, TopicKeys
from local.cloud.event_grid_queue import Timing
from local.cloud.event_grid_service import EventGrid
from local.cloud.event_grid_store import EventStore
from local.cloud.event_grid_subscriptions import SubscriptionReader

__all__ = ["TIME_SCALE", "EventGrid", "install"]

TIME_SCALE = "TIDEGATE_EVENT_GRID_TIME_SCALE"
"""Environment variable: factor on all of Event Grid's delays and times to live, for example 0.01. Default 1."""


def install(cloud: Cloud, environ: Mapping[str, str] = os.environ) -> None:
    """Serve Event Grid: topics on *.eventgrid.azure.net (and /api/events without a host name), /admin/..., delivery.

    Under the state folder: `event-grid/events.sqlite`, and `event-grid/tidegate-outcomes.keys.json` with the custom
    topic's access keys (`key1`, `key2`; mode 0600). A faulty infra/data/events.json is an InvalidDocumentError.
    """
    folder = cloud.options.state / "event-grid"
    reader = SubscriptionReader()
    storage = None if cloud.options.storage is None else StorageAccount(cloud.options.storage)
    grid = EventGrid(
        EventStore(folder / "events.sqlite"),
        HttpEndpoints(lambda: cloud.http, cloud.options.functions_url, _functions_keys(cloud.options)),
        storage or NoStorage(),
        Timing(spread=random.random, scale=_time_scale(environ)),
        _validation_url,
    )
    cloud.event_grid = grid
    data_plane = DataPlane(grid, TopicKeys.kept_in(folder / f"{world.OUTCOMES_TOPIC}.keys.json"), cloud.roles)
    data_plane.add_routes(cloud.local)
    data_plane.add_routes(cloud.host("*.eventgrid.azure.net"))
    Admin(grid, reader).add_routes(cloud.local)
    cloud.lifetime(_lifetime(grid, reader, storage))


def _lifetime(grid: EventGrid, reader: SubscriptionReader, storage: StorageAccount | None) -> Lifetime:
    async def running(_app: web.Application) -> AsyncIterator[None]:
        for subscription in reader.from_file():
            grid.subscribe(subscription)
        for body in grid.store.subscriptions():
            grid.subscribe(reader.from_request(body))
        async with grid.running():
            yield
        if storage is not None:
            await storage.close()

    return running


def _functions_keys(options: Options) -> FunctionsKeys | None:
    return None if options.functions_keys is None else FunctionsKeys(options.functions_keys)


def _time_scale(environ: Mapping[str, str]) -> float:
    text = environ.get(TIME_SCALE, "1")
    try:
        scale = float(text)
    except ValueError:
        scale = 0.0
    if not 0 < scale <= 1:
        raise ValueError(f"{TIME_SCALE}: must be a number above 0 and at most 1, not {text!r}")
    return scale


def _validation_url(name: str, code: str) -> str:
    """The shape of Azure's address; without the front, open its path on the stand-in's own port."""
    return f"https://rp-{world.LOCATION}.eventgrid.azure.net:553/eventsubscriptions/{quote(name)}/validate?code={code}"
