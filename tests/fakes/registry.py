"""Both registries in memory: real manifests and digests, tags, locks, referrers, and imports that take virtual time."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import fnmatch
from collections.abc import Callable, Iterator, Sequence

from tests.fakes.clock import FakeClock
from tests.fakes.faults import FakePort, FaultHook, call, healthy
from tests.fakes.images import Content
from tidegate.adapters.registry import image_facts, oci_manifest, referrer_manifests
from tidegate.adapters.registry.oci_manifest import Manifest
from tidegate.errors import PermanentError
from tidegate.flows.images.image_gate import ImageFacts
from tidegate.ports import (
    Call,
    ImportDone,
    ImportFailed,
    ImportRunning,
    ImportStatus,
    ReferrersCopied,
    TagPlaced,
    TagTaken,
)
from tidegate.references import ImageRef, TagRef


class Importing(enum.Enum):
    """What becomes of an import."""

    COPIES = "copies"
    FAILS = "fails"
    LIES = "says it is done, and copied nothing"
    HANGS = "never ends"
    LOST = "the operation is not known any more, and copied nothing"


@dataclasses.dataclass(slots=True)
class Repository:
    """What one repository of one registry holds."""

    manifests: dict[str, Manifest] = dataclasses.field(default_factory=dict)
    blobs: dict[str, bytes] = dataclasses.field(default_factory=dict)
    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    locked: set[str] = dataclasses.field(default_factory=set)
    """Tags and digests that may be neither overwritten nor deleted."""


@dataclasses.dataclass(slots=True)
class _Import:
    source: ImageRef
    target: ImageRef
    done_at: datetime.datetime
    outcome: Importing
    settled: bool = False


def always_copies(source: ImageRef, number: int) -> Importing:
    """Every import succeeds."""
    return Importing.COPIES


class FakeRegistry(FakePort):
    """The port; below it a test's own hands. Unknown registries are refused, as by the adapter."""

    port = "ImageRegistry"

    def __init__(
        self,
        clock: FakeClock,
        registries: Sequence[str] = ("tidegatestaging", "tidegatehealthy"),
        fault: FaultHook = healthy,
        *,
        importing: Callable[[ImageRef, int], Importing] = always_copies,
        import_seconds: float = 0,
    ) -> None:
        super().__init__(fault)
        self._clock = clock
        self._repositories: dict[str, dict[str, Repository]] = {name: {} for name in registries}
        self._imports: dict[str, _Import] = {}
        self.importing = importing
        """`importing(source, number of the import)` decides what becomes of an import when it is started."""
        self.import_seconds = import_seconds
        self.writes: list[tuple[str, str]] = []
        """Effects in order: (what, on what); a call that found everything in place adds none."""

    # The port

    @call
    def resolve(self, tag: TagRef) -> str | None:
        return self.repository(tag.registry, tag.repository).tags.get(tag.tag)

    @call
    def exists(self, image: ImageRef) -> bool:
        return image.digest in self._at(image).manifests

    @call
    def inspect(self, image: ImageRef) -> ImageFacts:
        repository = self._at(image)
        manifest = self._manifest(image)
        return image_facts.facts(
            manifest,
            lambda digest: self._manifest(dataclasses.replace(image, digest=digest)),
            lambda config: repository.blobs[config.digest],
        )

    @call
    def start_import(self, source: ImageRef, target: ImageRef) -> str:
        self._manifest(source)
        number = len(self._imports) + 1
        done_at = self._clock.now() + datetime.timedelta(seconds=self.import_seconds)
        operation = f"import-{number}"
        self._imports[operation] = _Import(source, target, done_at, self.importing(source, number))
        return operation

    def import_call(self, source: ImageRef, target: ImageRef) -> Call:
        return Call("import", str(target), str(source))

    @call
    def import_status(self, operation: str) -> ImportStatus:
        known = self._imports.get(operation)
        if known is None or known.outcome is Importing.LOST:
            return ImportFailed(f"{operation}: not known any more")
        if self._clock.now() < known.done_at or known.outcome is Importing.HANGS:
            return ImportRunning()
        return ImportFailed("the copy was aborted") if known.outcome is Importing.FAILS else ImportDone()

    @call
    def copy_referrers(self, source: ImageRef, target: ImageRef, types: Sequence[str]) -> ReferrersCopied:
        copied = 0
        found = set()
        for digest in self._tree(source):
            copied += self._copy_referrers_of(digest, source, target, types, levels=2)
            found |= set(self._referrer_types(dataclasses.replace(target, digest=digest)))
        return ReferrersCopied(copied, tuple(sorted(found)))

    @call
    def attach_record(self, target: ImageRef, statement: bytes, annotations: Sequence[tuple[str, str]]) -> str:
        body = referrer_manifests.record_manifest(self._manifest(target), statement, annotations)
        repository = self._at(target)
        repository.blobs[oci_manifest.digest_of(statement)] = statement
        self._put(repository, body, oci_manifest.OCI_MANIFEST, f"{target} record")
        return oci_manifest.digest_of(body)

    @call
    def place_tag(self, target: TagRef, digest: str, *, movable: bool, lock: bool) -> TagPlaced | TagTaken:
        repository = self.repository(target.registry, target.repository)
        if digest not in repository.manifests:
            raise PermanentError(f"{target}: {digest} is not there to be tagged")
        previous = repository.tags.get(target.tag, "")
        if previous not in ("", digest) and not movable:
            return TagTaken(previous)
        if previous != digest:
            repository.tags[target.tag] = digest
            self.writes.append(("tag", f"{target} {digest}"))
        self._lock(repository, target.tag, wanted=lock)
        return TagPlaced(previous)

    @call
    def lock_manifest(self, target: ImageRef) -> None:
        self._manifest(target)
        self._lock(self._at(target), target.digest, wanted=True)

    # A test's own hands

    def repository(self, registry: str, repository: str) -> Repository:
        """A repository's insides, made when it is not there."""
        if registry not in self._repositories:
            raise PermanentError(f"{registry}: not a registry of the settings")
        self.settle()
        return self._repositories[registry].setdefault(repository, Repository())

    def push(self, registry: str, repository: str, content: Content, tag: str = "") -> ImageRef:
        """Push content with all it needs, as a client would."""
        place = self.repository(registry, repository)
        self._store(place, content)
        if tag:
            place.tags[tag] = content.digest
        return ImageRef(registry, repository, content.digest)

    def referrers(self, image: ImageRef) -> tuple[Manifest, ...]:
        """Manifests attached to a digest by `subject`, our records too, in order of digest."""
        attached = (
            each for each in self._at(image).manifests.values() if each.subject and each.subject.digest == image.digest
        )
        return tuple(sorted(attached, key=lambda each: each.digest))

    def settle(self) -> None:
        """Let imports take effect whose time has come, asked about or not: the service copies on its own."""
        for known in self._imports.values():
            if not known.settled and known.done_at <= self._clock.now():
                known.settled = True
                if known.outcome is Importing.COPIES:
                    self._copy_tree(known.source, known.target)

    # Below

    def _at(self, image: ImageRef) -> Repository:
        return self.repository(image.registry, image.repository)

    def _manifest(self, image: ImageRef) -> Manifest:
        manifest = self.repository(image.registry, image.repository).manifests.get(image.digest)
        if manifest is None:
            raise PermanentError(f"{image}: there is no such manifest")
        return manifest

    def _store(self, place: Repository, content: Content) -> None:
        for child in content.children:
            self._store(place, child)
        place.blobs |= {oci_manifest.digest_of(blob): blob for blob in content.blobs}
        place.manifests[content.digest] = oci_manifest.parse(content.body, content.media_type)

    def _put(self, repository: Repository, body: bytes, media_type: str, what: str) -> bool:
        manifest = oci_manifest.parse(body, media_type)
        if manifest.digest in repository.manifests:
            return False
        repository.manifests[manifest.digest] = manifest
        self.writes.append(("manifest", what))
        return True

    def _lock(self, repository: Repository, name: str, *, wanted: bool) -> None:
        if wanted and name not in repository.locked:
            repository.locked.add(name)
            self.writes.append(("lock", name))

    def _tree(self, image: ImageRef) -> Iterator[str]:
        yield image.digest
        for child in self._manifest(image).children:
            yield from self._tree(dataclasses.replace(image, digest=child.digest))

    def _copy_tree(self, source: ImageRef, target: ImageRef) -> None:
        here, there = self._at(source), self._at(target)
        for digest in reversed(list(self._tree(source))):
            manifest = here.manifests[digest]
            there.blobs |= _blobs(manifest, here)
            self._put(there, manifest.body, manifest.media_type, f"{target.registry}/{target.repository}@{digest}")

    def _copy_referrers_of(
        self, digest: str, source: ImageRef, target: ImageRef, types: Sequence[str], levels: int
    ) -> int:
        here, there = self._at(source), self._at(target)
        copied = 0
        for manifest in self.referrers(dataclasses.replace(source, digest=digest)):
            if not referrer_manifests.is_record(manifest) and matches(manifest.artifact_type, types):
                there.blobs |= _blobs(manifest, here)
                copied += self._put(there, manifest.body, manifest.media_type, f"referrer {manifest.digest}")
                if levels > 1:
                    copied += self._copy_referrers_of(manifest.digest, source, target, types, levels - 1)
        for tag, kind in referrer_manifests.companion_tags(digest):
            if tag in here.tags and matches(kind, types) and there.tags.get(tag) != here.tags[tag]:
                manifest = here.manifests[here.tags[tag]]
                there.blobs |= _blobs(manifest, here)
                self._put(there, manifest.body, manifest.media_type, f"referrer {manifest.digest}")
                there.tags[tag] = manifest.digest
                copied += 1
        return copied

    def _referrer_types(self, image: ImageRef) -> Iterator[str]:
        yield from (each.artifact_type for each in self.referrers(image) if not referrer_manifests.is_record(each))
        yield from (
            kind for tag, kind in referrer_manifests.companion_tags(image.digest) if tag in self._at(image).tags
        )


def matches(artifact_type: str, globs: Sequence[str]) -> bool:
    """Whether a type is one of those that travel."""
    return any(fnmatch.fnmatchcase(artifact_type, glob) for glob in globs)


def _blobs(manifest: Manifest, repository: Repository) -> dict[str, bytes]:
    parts = (*manifest.layers, *((manifest.config,) if manifest.config else ()))
    return {part.digest: repository.blobs[part.digest] for part in parts if part.digest in repository.blobs}
