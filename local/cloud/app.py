"""The whole stand-in in one application."""

from __future__ import annotations

from aiohttp import web

from local.cloud import (
    container_groups,
    deployed,
    event_grid,
    faults,
    identity,
    key_vault,
    logic_app,
    machine_learning,
    mailbox,
    recorder,
    registry_auth,
    registry_blobs,
    registry_control,
    registry_data,
    registry_events,
    registry_listing,
    registry_tasks,
    resources,
)
from local.cloud.core import Cloud, Options
from local.cloud.registries import Registries


def create_app(options: Options) -> web.Application:
    """Every service installed. The recorder is outermost: it sees the answers that clients see, faults included."""
    cloud = Cloud(options)
    registries = Registries(cloud)
    recorded, faulted = recorder.install(cloud), faults.install(cloud)
    identity.install(cloud)
    logic_app.install(cloud, key_vault.install(cloud), mailbox.install(cloud, options.smtp))
    resources.install(cloud, registries)
    for service in (registry_blobs, registry_control, registry_auth, registry_data, registry_listing, registry_events):
        service.install(cloud, registries)
    registry_tasks.install(cloud)
    machine_learning.install(cloud)
    container_groups.install(cloud)
    event_grid.install(cloud)
    deployed.install(cloud)
    cloud.local.router.add_get("/health", _health)
    cloud.local.router.add_get("/admin/operations", cloud.operations.list_spans)
    return cloud.build((recorded.middleware, faulted.middleware))


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"status": "Healthy"})
