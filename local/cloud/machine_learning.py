"""Stand-in for Azure Machine Learning, put together: workspaces, jobs, models, one registry, online endpoints.

Each part says in its own module what is emulated and which rules are unverified.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from local.cloud import (
    ml_deployments,
    ml_endpoints,
    ml_job_service,
    ml_metrics,
    ml_models,
    ml_registry,
    ml_scoring,
)
from local.cloud.core import Cloud
from local.cloud.ml_assets import Assets
from local.cloud.ml_online import Online
from local.cloud.ml_operations import MlOperations
from local.cloud.ml_requests import Requests
from local.cloud.ml_serving import Serving
from local.cloud.ml_storage import MlStorage
from local.cloud.ml_workspaces import Workspaces
from local.cloud.state import StateFile


def install(cloud: Cloud) -> None:
    """Add everything about the workspaces."""
    folder = Path(cloud.options.state) / "machine-learning"
    workspaces = Workspaces()
    workspaces.install(cloud.arm)
    assets = Assets(StateFile(folder / "assets.json"), workspaces)
    storage = _storage(cloud)
    operations = MlOperations(cloud.options.poll_after)
    operations.install(cloud.arm)
    cloud.lifetime(operations.running)
    ml_models.install(cloud, workspaces, assets, storage)
    ml_registry.install(cloud, assets, storage, operations)
    _serve(cloud, folder, workspaces, assets, storage, operations)
    ml_job_service.install(cloud, folder, workspaces, assets)


def _serve(
    cloud: Cloud,
    folder: Path,
    workspaces: Workspaces,
    assets: Assets,
    storage: MlStorage | None,
    operations: MlOperations,
) -> None:
    """Add online endpoints: their routes, what serves them, their scoring addresses and their metrics."""
    online, requests = Online(StateFile(folder / "endpoints.json")), Requests()
    serving = Serving(cloud, folder / "serving", workspaces, assets, storage, online)
    endpoints = ml_endpoints.install(cloud, workspaces, online, serving, operations)
    ml_deployments.install(cloud, endpoints, online, assets, serving, operations)
    ml_scoring.install(cloud, online, endpoints, serving, requests)
    ml_metrics.install(cloud, endpoints, serving, requests)
    cloud.lifetime(serving.running)


def _storage(cloud: Cloud) -> MlStorage | None:
    """The account of the workspaces' files, open as long as the application runs."""
    if not cloud.options.storage:
        return None
    storage = MlStorage(cloud.options.storage)

    async def closing(_app: web.Application) -> AsyncIterator[None]:
        yield
        await storage.close()

    cloud.lifetime(closing)
    return storage
