"""What an image must pass on its way to healthy: one gate of `gates.yaml` as plain values, and the check of its requirements."""

from __future__ import annotations

import dataclasses
import fnmatch
from typing import Literal

from tidegate.flows.base import Pairs

IMAGE_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
IMAGE_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


@dataclasses.dataclass(frozen=True, slots=True)
class ImageTest:
    """How the image proves itself: a command run inside it, without network and without rights."""

    runner: Literal["acr-task", "azure-ml"]
    command: tuple[str, ...]
    """Arguments after the image; empty: what the image itself would run."""
    timeout: int
    """Seconds until the run is stopped and counts as failed."""
    cpu: float
    memory: int
    """Bytes."""
    tmp: int
    """Bytes of writable memory at /tmp; everything else is read-only."""
    environment: Pairs
    attempts: int
    """How many runs may end without a verdict (infrastructure) before people are asked."""
    skip: str = ""
    """The reason for promoting without a test; empty: the test runs."""
    cluster: str = ""
    """For azure-ml, where it runs: `workspace/compute`."""


@dataclasses.dataclass(frozen=True, slots=True)
class ImageRequirements:
    """What the manifest and the configuration must say, before anything runs."""

    non_root: bool
    labels: Pairs
    """Label and the glob its value must match."""
    max_size: int
    """Bytes of all compressed layers together; 0: no limit."""
    max_manifests: int
    """Manifests in an index; Azure imports at most 50 (docs: container-registry-import-images)."""
    platforms: tuple[str, ...]
    """Allowed `os/architecture[/variant]`; empty: any."""
    media_types: tuple[str, ...]
    """Allowed media types of the manifest."""


@dataclasses.dataclass(frozen=True, slots=True)
class PromotionRules:
    """Where a passing image goes, and how firmly it stays there."""

    repository: str
    """Target repository; `{repository}` stands for the source's."""
    tags: Literal["immutable", "movable"]
    lock_tag: bool
    lock_manifest: bool
    referrers: tuple[str, ...]
    """Globs of artifact types that travel with the image."""
    required_referrers: tuple[str, ...]
    """Globs of artifact types of which at least one must be attached, else the image is rejected."""

    def target(self, repository: str) -> str:
        """The repository in the healthy registry."""
        return self.repository.replace("{repository}", repository)


@dataclasses.dataclass(frozen=True, slots=True)
class ImageGate:
    """One gate. `version` changes with every meaning-bearing field, so that a changed gate tests anew."""

    name: str
    version: str
    test: ImageTest
    require: ImageRequirements
    promote: PromotionRules


@dataclasses.dataclass(frozen=True, slots=True)
class PlatformImage:
    """One runnable image: of an index, or the image itself."""

    digest: str
    platform: str
    """`os/architecture[/variant]`."""
    user: str
    labels: Pairs
    size: int
    """Bytes of its compressed layers."""


@dataclasses.dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the registry says about a digest: read from the manifest and the configuration, never from the event."""

    media_type: str
    kind: str
    """`image`, `index`, or what else it is (`chart`, `signature`, `artifact`): only the first two are candidates."""
    images: tuple[PlatformImage, ...]
    manifests: int
    """How many manifests an import copies, the index included."""
    foreign_layers: bool
    """Whether a descriptor names URLs outside the registry."""

    @property
    def size(self) -> int:
        """Bytes of all compressed layers together."""
        return sum(image.size for image in self.images)


def unmet(require: ImageRequirements, facts: ImageFacts) -> tuple[str, ...]:
    """Every requirement the image does not meet, as sentences for people; empty: it may be tested."""
    problems = [
        *_unmet_by_manifest(require, facts),
        *(problem for image in facts.images for problem in _unmet_by_image(require, image)),
    ]
    return tuple(problems)


def _unmet_by_manifest(require: ImageRequirements, facts: ImageFacts) -> list[str]:
    problems = []
    if facts.media_type not in require.media_types:
        problems.append(f"media type {facts.media_type} is not allowed ({', '.join(require.media_types)})")
    if facts.manifests > require.max_manifests:
        problems.append(f"{facts.manifests} manifests, more than {require.max_manifests} (require.max_manifests)")
    if require.max_size and facts.size > require.max_size:
        problems.append(f"{facts.size} bytes of layers, more than {require.max_size} (require.max_size)")
    if facts.foreign_layers:
        problems.append(
            "a layer is kept outside the registry (descriptor with urls); push the image with all its layers"
        )
    if not facts.images:
        problems.append("no runnable image in it")
    return problems


def _unmet_by_image(require: ImageRequirements, image: PlatformImage) -> list[str]:
    problems = []
    labels = dict(image.labels)
    if require.platforms and image.platform not in require.platforms:
        problems.append(f"platform {image.platform} is not allowed ({', '.join(require.platforms)})")
    if require.non_root and is_root(image.user):
        problems.append(
            f"{image.platform}: runs as root (user {image.user!r}); set USER in the Dockerfile (require.non_root)"
        )
    for label, glob in require.labels:
        if label not in labels:
            problems.append(f"{image.platform}: label {label} is missing (require.labels)")
        elif not fnmatch.fnmatchcase(labels[label], glob):
            problems.append(f"{image.platform}: label {label} is {labels[label]!r}, not like {glob!r} (require.labels)")
    return problems


def is_root(user: str) -> bool:
    """Whether an image's `User` is root: unset, by name or by number (`user[:group]`)."""
    name = user.partition(":")[0]
    return name in ("", "root") or (name.isdigit() and int(name) == 0)


def matches_any(text: str, globs: tuple[str, ...]) -> bool:
    """Whether a text matches one of the globs."""
    return any(fnmatch.fnmatchcase(text, glob) for glob in globs)
