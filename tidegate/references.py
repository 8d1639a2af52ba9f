"""Names of images, parsed once at the door, compared by digest; no text from outside goes further unparsed."""

from __future__ import annotations

import dataclasses
import re
from typing import override

from tidegate.errors import MalformedEvent

# Grammar: OCI distribution specification 1.1, "Pulling manifests". Azure limits a registry's name to 5-50 letters and digits.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}\Z")
_REGISTRY = re.compile(r"[a-z0-9]{5,50}\Z")
_MAX_REPOSITORY = 255
_WORKSPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,32}\Z")  # azure-rest-api-specs workspaceRP.json, workspaceName
_RUN = re.compile(r"[A-Za-z0-9_.-]{1,255}\Z")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}\Z")  # azure-ai-ml: names of assets
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,29}\Z")

# Tags that clients write beside an image to find its signatures and referrers (cosign; OCI 1.1 referrers tag schema).
_COMPANION_TAG = re.compile(r"sha256-[a-f0-9]{64}(?:\.(?:sig|att|sbom))?\Z")


def repository(text: object, field: str) -> str:
    """A repository name in OCI grammar, or MalformedEvent naming `field` and the rule."""
    name = _text(text, field)
    if len(name) > _MAX_REPOSITORY:
        raise MalformedEvent(f"{field}: longer than {_MAX_REPOSITORY} characters")
    if not _REPOSITORY.match(name):
        raise MalformedEvent(
            f"{field}: {_shown(name)} is not a repository name (lower case, digits, . _ - between them; parts divided by /)"
        )
    return name


def tag(text: object, field: str) -> str:
    """A tag in OCI grammar, or MalformedEvent naming `field` and the rule."""
    name = _text(text, field)
    if not _TAG.match(name):
        raise MalformedEvent(
            f"{field}: {_shown(name)} is not a tag (letters, digits, _ . -, at most 128, not starting with . or -)"
        )
    return name


def digest(text: object, field: str) -> str:
    """A sha256 digest, or MalformedEvent naming `field` and the rule."""
    name = _text(text, field)
    if not _DIGEST.match(name):
        raise MalformedEvent(f"{field}: {_shown(name)} is not a digest (sha256: and 64 lower-case hex digits)")
    return name


def registry(text: object, field: str) -> str:
    """The name of an Azure container registry, lower-cased (`contoso` or `contoso.azurecr.io` -> `contoso`)."""
    name = _text(text, field).lower().removesuffix(".azurecr.io")
    if not _REGISTRY.match(name):
        raise MalformedEvent(
            f"{field}: {_shown(name)} is not the name of an Azure container registry (5-50 letters and digits)"
        )
    return name


def workspace(text: object, field: str) -> str:
    """The name of a machine learning workspace in lower case: Azure compares names of resources without case."""
    name = _text(text, field)
    if not _WORKSPACE.match(name):
        raise MalformedEvent(f"{field}: {_shown(name)} is not the name of a workspace (letters, digits, - and _)")
    return name.lower()


def run(text: object, field: str) -> str:
    """The id of a run, which for a job is its name, or MalformedEvent naming `field` and the rule."""
    name = _text(text, field)
    if not _RUN.match(name) or name.strip(".") == "":
        raise MalformedEvent(f"{field}: {_shown(name)} is not the id of a run (letters, digits, - _ ., at most 255)")
    return name


def model(text: object, field: str) -> str:
    """The name of a model, or MalformedEvent naming `field` and the rule."""
    name = _text(text, field)
    if not _MODEL.match(name):
        raise MalformedEvent(
            f"{field}: {_shown(name)} is not the name of a model (letters, digits, - _ ., at most 255)"
        )
    return name


def version(text: object, field: str) -> str:
    """The version of a model, which events give as text or as a number; or MalformedEvent naming `field` and the rule."""
    name = str(text) if isinstance(text, int) and not isinstance(text, bool) else _text(text, field)
    if not _VERSION.match(name):
        raise MalformedEvent(f"{field}: {_shown(name)} is not a version (letters, digits, - _ ., at most 30)")
    return name


def is_companion_tag(name: str) -> bool:
    """Whether a tag only ties signatures, attestations or other referrers to an image."""
    return _COMPANION_TAG.match(name) is not None


@dataclasses.dataclass(frozen=True, slots=True)
class ImageRef:
    """One image, for ever: a registry's name, a repository and a digest."""

    registry: str
    repository: str
    digest: str

    @override
    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}@{self.digest}"

    def within(self, registry: str, repository: str) -> ImageRef:
        """The same bytes in another place."""
        return ImageRef(registry, repository, self.digest)


def image(text: object, field: str) -> ImageRef:
    """An image as its str() says it, or MalformedEvent."""
    place, _, wanted = _text(text, field).partition("@")
    name, _, rest = place.partition("/")
    return ImageRef(registry(name, field), repository(rest, field), digest(wanted, field))


@dataclasses.dataclass(frozen=True, slots=True)
class TagRef:
    """A movable name in a registry."""

    registry: str
    repository: str
    tag: str

    @override
    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}:{self.tag}"


@dataclasses.dataclass(frozen=True, slots=True)
class JobRef:
    """One run in a machine learning workspace."""

    workspace: str
    run: str

    @override
    def __str__(self) -> str:
        return f"{self.workspace}/{self.run}"


@dataclasses.dataclass(frozen=True, slots=True)
class ModelRef:
    """One version of a model in the workspace it was registered in."""

    workspace: str
    name: str
    version: str

    @override
    def __str__(self) -> str:
        return f"{self.workspace}/{self.name}:{self.version}"


def _text(value: object, field: str) -> str:
    if value is None:
        raise MalformedEvent(f"{field}: missing")
    if not isinstance(value, str):
        raise MalformedEvent(f"{field}: must be text, not {type(value).__name__}")
    return value


def _shown(text: str) -> str:
    """Foreign text for an error message: escaped and short."""
    return ascii(text if len(text) <= 80 else f"{text[:77]}...")
