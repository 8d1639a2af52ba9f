"""Locks of a registry: the changeable attributes of repositories, tags and manifests, and what they forbid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.cloud.errors import RegistryError
from local.cloud.state import StateFile

ATTRIBUTES = ("deleteEnabled", "writeEnabled", "listEnabled", "readEnabled")

_MESSAGE = "The operation is disallowed on this registry, repository or image."


def disallowed() -> RegistryError:
    """The refusal of a locked thing. Code and text are those that users report; status 405 is unverified."""
    return RegistryError(405, "REGISTRY_DISALLOWED_OPERATION", _MESSAGE)


class Locks:
    """Three separate levels, as in Azure: the repository, a tag, a manifest. What was never set is allowed.

    Unverified: that a lock is checked before the upstream registry sees the call, in this order of levels.
    """

    def __init__(self, state: StateFile) -> None:
        self._state = state

    def attributes(self, repository: str, item: str = "") -> dict[str, bool]:
        """Attributes of a tag or digest, or of the repository itself when no item is named."""
        stored = self._state.value.get(repository, {}).get(item, {})
        return {name: bool(stored.get(name, True)) for name in ATTRIBUTES}

    def change(self, repository: str, item: str, wanted: Mapping[str, Any]) -> None:
        """Set the attributes that are named; ValueError for one that is unknown or no boolean."""
        for name, value in wanted.items():
            if name not in ATTRIBUTES or not isinstance(value, bool):
                raise ValueError(f"{name!r}: {value!r} is no changeable attribute")
        self._state.value.setdefault(repository, {}).setdefault(item, {}).update(wanted)
        self._state.save()

    def forget(self, repository: str, item: str) -> None:
        """A deleted thing has no lock; the next of its name starts free."""
        if self._state.value.get(repository, {}).pop(item, None) is not None:
            self._state.save()

    def check_read(self, repository: str, *items: str) -> None:
        self._check(repository, items, "readEnabled")

    def check_write(self, repository: str, *items: str) -> None:
        """Refuse a push, import or new tag onto a locked repository, tag or manifest."""
        self._check(repository, items, "writeEnabled")

    def check_delete(self, repository: str, *items: str) -> None:
        """Refuse a deletion: either lock forbids it."""
        self._check(repository, items, "deleteEnabled", "writeEnabled")

    def _check(self, repository: str, items: tuple[str, ...], *needed: str) -> None:
        for item in ("", *items):
            attributes = self.attributes(repository, item)
            if not all(attributes[name] for name in needed):
                raise disallowed()
