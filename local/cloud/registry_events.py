"""Notifications of docker-registry become ImagePushed and ImageDeleted events of the registry's topic."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from local import world
from local.cloud.core import Cloud
from local.cloud.registries import Registries, Registry

_PREFIX = "Microsoft.ContainerRegistry."


def install(cloud: Cloud, registries: Registries) -> None:
    async def notified(request: web.Request) -> web.Response:
        """At least once: docker-registry posts again until it gets 200, so an event may be raised twice."""
        registry = registries.named(request.match_info["registry"])
        posted = (await request.json()).get("events") or []
        notifications = [one for one in posted if (one.get("target") or {}).get("digest") not in registry.placeholders]
        for notification in notifications:
            await _remember(registry, notification)
        events = [event for event in (event_of(registry.name, note) for note in notifications) if event is not None]
        if events:
            await cloud.raise_events(world.registry_id(registry.name), events)
        return web.Response()

    cloud.local.router.add_post("/notifications/{registry}", notified)


def event_of(registry: str, notification: Mapping[str, Any]) -> dict[str, Any] | None:
    """The event of one notification, in Azure's shape; None for what Azure raises no event (pulls, blobs, tags removed).

    The subject of a push without a tag and the time stamps' precision are unverified.
    """
    target = notification.get("target") or {}
    match notification.get("action"):
        case "push" if "manifest" in target.get("mediaType", "") or "image.index" in target.get("mediaType", ""):
            kind = "ImagePushed"
            members: tuple[str, ...] = ("mediaType", "size", "digest", "length", "repository", "tag")
        case "delete" if "digest" in target:
            kind = "ImageDeleted"
            members = ("mediaType", "digest", "repository")
        case _:
            return None
    repository, tag = target["repository"], target.get("tag")
    request = notification.get("request") or {}
    return {
        "id": str(uuid.uuid4()),
        "subject": f"{repository}:{tag}" if tag else repository,
        "eventType": _PREFIX + kind,
        "eventTime": notification["timestamp"],
        "data": {
            "id": notification["id"],
            "timestamp": notification["timestamp"],
            "action": notification["action"],
            "location": world.LOCATION,
            "target": {name: target[name] for name in members if name in target},
            "request": {
                "id": request.get("id", ""),
                "host": world.login_server(registry),
                "method": request.get("method", ""),
                "useragent": request.get("useragent", ""),
            },
        },
        "dataVersion": "1.0",
        "metadataVersion": "1",
    }


async def _remember(registry: Registry, notification: Mapping[str, Any]) -> None:
    """A push that went to docker-registry itself is in the catalog too, so its subject's referrers list it."""
    target = notification.get("target") or {}
    if notification.get("action") == "delete" and "digest" in target:
        registry.catalog.forget(target["repository"], target["digest"])
    elif notification.get("action") == "push" and target.get("digest"):
        manifest = await registry.upstream.manifest(target["repository"], target["digest"])
        if manifest is not None:
            registry.catalog.record(target["repository"], manifest, target.get("tag"))
