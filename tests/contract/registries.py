"""One way to fill and to look at registries, whether they are a fake or two docker-registries behind the local cloud."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Protocol

from local import world
from tests.cloud.images import Pusher
from tests.cloud.world import LocalCloud, eventually
from tests.fakes import Content, FakeClock, FakeRegistry
from tidegate.adapters.azure_calls import credential
from tidegate.adapters.registry import oci_manifest, referrers
from tidegate.adapters.registry.container_registry import ContainerRegistry
from tidegate.adapters.registry.oci import Repository
from tidegate.adapters.registry.referrer_manifests import is_record
from tidegate.ports import ImageRegistry, ImportRunning, ImportStatus
from tidegate.references import ImageRef
from tidegate.settings import Settings

STAGING, HEALTHY = world.STAGING, world.HEALTHY
SETTINGS = Settings(
    staging_registry=STAGING,
    healthy_registry=HEALTHY,
    subscription_id=world.SUBSCRIPTION,
    resource_group=world.RESOURCE_GROUP,
    outcomes_endpoint=f"https://{world.topic_host(world.OUTCOMES_TOPIC)}/api/events",
    key_vault_url=world.VAULT_URL,
)


class Registries(Protocol):
    """The port, and a test's own hands."""

    @property
    def port(self) -> ImageRegistry: ...

    def push(self, registry: str, repository: str, content: Content, tag: str = "") -> ImageRef: ...

    def records(self, image: ImageRef) -> list[bytes]:
        """Statements of promotion records attached to an image."""

    def wait(self, operation: str) -> ImportStatus:
        """The final status of an import."""


@dataclasses.dataclass(frozen=True, slots=True)
class InMemory:
    """The fake."""

    clock: FakeClock
    port: FakeRegistry

    def push(self, registry: str, repository: str, content: Content, tag: str = "") -> ImageRef:
        return self.port.push(registry, repository, content, tag)

    def records(self, image: ImageRef) -> list[bytes]:
        blobs = self.port.repository(image.registry, image.repository).blobs
        return [blobs[each.layers[0].digest] for each in self.port.referrers(image) if is_record(each)]

    def wait(self, operation: str) -> ImportStatus:
        self.clock.advance(60)
        return self.port.import_status(operation)


@dataclasses.dataclass(frozen=True, slots=True)
class OnTheWire:
    """The adapter, through Azure's SDK and the OCI data plane."""

    cloud: LocalCloud
    port: ContainerRegistry

    def push(self, registry: str, repository: str, content: Content, tag: str = "") -> ImageRef:
        """Content by docker-registry itself; what has a subject through the registry's front, which lists it."""
        pusher = Pusher(f"http://127.0.0.1:{self.cloud.registries[registry]}", repository)
        for child in content.children:
            self.push(registry, repository, child)
        for blob in content.blobs:
            pusher.blob(blob)
        manifest = oci_manifest.parse(content.body, content.media_type)
        self.at(registry, repository).put_manifest(tag or content.digest, manifest)
        return ImageRef(registry, repository, content.digest)

    def records(self, image: ImageRef) -> list[bytes]:
        repository = self.at(image.registry, image.repository)
        attached = [repository.manifest(each.digest) for each in referrers.attached(repository, image.digest)]
        return [repository.config(each.layers[0]) for each in attached if is_record(each)]

    def wait(self, operation: str) -> ImportStatus:
        def ended() -> ImportStatus | None:
            status = self.port.import_status(operation)
            return None if status == ImportRunning() else status

        status: ImportStatus = eventually(ended, "the import does not end")
        return status

    def at(self, registry: str, repository: str) -> Repository:
        return self.port._repositories.at(registry, repository)


def in_memory() -> InMemory:
    clock = FakeClock()
    return InMemory(clock, FakeRegistry(clock, (STAGING, HEALTHY), import_seconds=60))


def on_the_wire(cloud: LocalCloud) -> Iterator[OnTheWire]:
    with credential("") as identity:  # type: ignore[attr-defined]  # a managed identity has connections to close
        registry = ContainerRegistry(SETTINGS, identity)
        try:
            yield OnTheWire(cloud, registry)
        finally:
            registry.close()
