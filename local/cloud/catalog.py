"""What docker-registry cannot tell: when a manifest or tag came, and which manifests are about another one."""

from __future__ import annotations

import datetime as dt
from typing import Any

from local.cloud.manifests import Manifest
from local.cloud.state import StateFile


class Catalog:
    """Manifests and tags of one registry, as they were pushed, imported, announced or first listed.

    It may know less than docker-registry (an image pushed while the stand-in was down) and more (one deleted then), so
    readers add what the registry lists and drop what it no longer has.
    """

    def __init__(self, state: StateFile) -> None:
        self._state = state

    def record(self, repository: str, manifest: Manifest, tag: str | None = None) -> None:
        """Note a manifest and, with a tag, that the tag now names it. Twice is once: the first time stays."""
        now = dt.datetime.now(dt.UTC).isoformat()
        kept = self._repository(repository)
        entry = {"created": now, "subject": manifest.subject, "descriptor": manifest.referrer()}
        changed = kept["manifests"].setdefault(manifest.digest, entry) is entry
        if tag is not None and kept["tags"].get(tag, {}).get("digest") != manifest.digest:
            created = kept["tags"].get(tag, {}).get("created", now)
            kept["tags"][tag] = {"digest": manifest.digest, "created": created, "updated": now}
            changed = True
        if changed:
            self._state.save()

    def forget(self, repository: str, digest: str) -> None:
        """Note that a manifest was deleted, and with it the tags that named it."""
        kept = self._repository(repository)
        kept["manifests"].pop(digest, None)
        kept["tags"] = {tag: times for tag, times in kept["tags"].items() if times["digest"] != digest}
        self._state.save()

    def forget_tag(self, repository: str, tag: str) -> None:
        """Note that a tag was removed; what it named stays."""
        if self._repository(repository)["tags"].pop(tag, None) is not None:
            self._state.save()

    def digests(self, repository: str) -> list[str]:
        """Digests recorded for the repository, oldest first."""
        return list(self._repository(repository)["manifests"])

    def created(self, repository: str, digest: str) -> str:
        """When the manifest came (ISO 8601, UTC)."""
        return str(self._repository(repository)["manifests"][digest]["created"])

    def tag_times(self, repository: str, tag: str) -> tuple[str, str]:
        """When the tag was made and when it was last moved."""
        times = self._repository(repository)["tags"][tag]
        return times["created"], times["updated"]

    def referrers(self, repository: str, subject: str) -> list[dict[str, Any]]:
        """Descriptors of the manifests whose subject is this digest."""
        entries = self._repository(repository)["manifests"].values()
        return [entry["descriptor"] for entry in entries if entry["subject"] == subject]

    def _repository(self, name: str) -> dict[str, Any]:
        kept: dict[str, Any] = self._state.value.setdefault(name, {"manifests": {}, "tags": {}})
        return kept
