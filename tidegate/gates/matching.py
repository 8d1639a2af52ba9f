"""Which gate an image or a model meets: the first whose globs match it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from tidegate.flows import patterns
from tidegate.flows.alerts.alert_policy import AlertPolicy
from tidegate.flows.base import Pairs
from tidegate.flows.images.image_gate import ImageGate
from tidegate.flows.models.model_gate import ModelGate
from tidegate.gates.alert_defaults import DEFAULT_ALERTS
from tidegate.gates.globs import Glob


@dataclasses.dataclass(frozen=True, slots=True)
class ImageMatch:
    """One of the repository globs and one of the tag globs must match."""

    repositories: tuple[Glob, ...]
    tags: tuple[Glob, ...]

    def matches(self, repository: str, tag: str | None) -> bool:
        """Without a tag, for a digest asked for by hand, the repository alone decides."""
        return _one_matches(self.repositories, repository) and (tag is None or _one_matches(self.tags, tag))

    def covers(self, other: ImageMatch) -> bool:
        """True only if everything `other` matches is matched here too (see `Glob.covers`)."""
        return _cover(self.repositories, other.repositories) and _cover(self.tags, other.tags)


@dataclasses.dataclass(frozen=True, slots=True)
class GateRule:
    """A gate and the images it is for. The globs say when it applies, not what it means, so they are not part of it."""

    match: ImageMatch
    gate: ImageGate


@dataclasses.dataclass(frozen=True, slots=True)
class ModelMatch:
    """One of the globs must match the name, and every tag must be there with a value that its pattern is."""

    names: tuple[Glob, ...]
    tags: Pairs = ()

    def matches(self, name: str, tags: Mapping[str, str] | None) -> bool:
        """Without tags, for a version asked for by hand of which nothing is known yet, the name alone decides."""
        if not _one_matches(self.names, name):
            return False
        return tags is None or all(
            wanted in tags and patterns.matches(pattern, tags[wanted]) for wanted, pattern in self.tags
        )

    def covers(self, other: ModelMatch) -> bool:
        """True only if everything `other` matches is matched here too; a difficult pair may be missed, never invented."""
        theirs = dict(other.tags)
        return _cover(self.names, other.names) and all(
            name in theirs and pattern in ("*", theirs[name]) for name, pattern in self.tags
        )


@dataclasses.dataclass(frozen=True, slots=True)
class ModelRule:
    """A gate and the models it is for."""

    match: ModelMatch
    gate: ModelGate


@dataclasses.dataclass(frozen=True, slots=True)
class Gates:
    """All that `gates.yaml` says, in the order of the file."""

    images: tuple[GateRule, ...]
    alerts: AlertPolicy = DEFAULT_ALERTS
    models: tuple[ModelRule, ...] = ()

    def match(self, repository: str, tag: str | None) -> ImageGate | None:
        """The first gate that matches; None: the image is no concern of Tidegate and is ignored."""
        return next((rule.gate for rule in self.images if rule.match.matches(repository, tag)), None)

    def model_gate(self, name: str, tags: Mapping[str, str] | None) -> ModelGate | None:
        """The first gate for a version of a model; None: it is recorded and left alone."""
        return next((rule.gate for rule in self.models if rule.match.matches(name, tags)), None)


def _one_matches(globs: tuple[Glob, ...], name: str) -> bool:
    return any(glob.matches(name) for glob in globs)


def _cover(mine: tuple[Glob, ...], others: tuple[Glob, ...]) -> bool:
    return all(any(glob.covers(other) for glob in mine) for other in others)
