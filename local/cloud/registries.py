"""The registries of the local world: each is a docker-registry and what the stand-in knows beyond it."""

from __future__ import annotations

import dataclasses

from local import world
from local.cloud.catalog import Catalog
from local.cloud.core import Cloud
from local.cloud.errors import RegistryError
from local.cloud.locks import Locks
from local.cloud.roles import Roles
from local.cloud.state import StateFile
from local.cloud.upstream import Upstream


@dataclasses.dataclass(frozen=True, slots=True)
class Registry:
    """One registry: images upstream, times and referrers in the catalog, locks."""

    name: str
    upstream: Upstream
    catalog: Catalog
    locks: Locks
    roles: Roles
    placeholders: set[str] = dataclasses.field(default_factory=set)
    """Digests of manifests that exist only to take a tag away (untagging.py); nobody is told of them."""

    @property
    def host(self) -> str:
        return world.login_server(self.name)

    @property
    def id(self) -> str:
        """ARM resource id."""
        return world.registry_id(self.name)


class Registries:
    """Found by name or by login server, without case."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._open: dict[str, Registry] = {}

    def named(self, name: str) -> Registry:
        """ArmError 404 when there is none."""
        known, url = self._cloud.registry(name)
        if known not in self._open:
            folder = self._cloud.options.state / "registries" / known
            self._open[known] = Registry(
                known,
                Upstream(lambda: self._cloud.http, url),
                Catalog(StateFile(folder / "catalog.json")),
                Locks(StateFile(folder / "locks.json")),
                self._cloud.roles,
            )
        return self._open[known]

    def at(self, host: str) -> Registry:
        """By login server, with or without a port; RegistryError 404 where Azure's DNS would know no such host."""
        label, _, domain = host.partition(":")[0].lower().partition(".")
        if domain == "azurecr.io" and label in {name.lower() for name in self._cloud.options.registries}:
            return self.named(label)
        raise RegistryError(404, "NAME_UNKNOWN", f"There is no registry {host} in the local world.")

    def all(self) -> list[Registry]:
        return [self.named(name) for name in self._cloud.options.registries]
