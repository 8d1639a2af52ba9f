"""What image promotion hears and says: its events and its commands. Each answer names the attempt it belongs to."""

from __future__ import annotations

import dataclasses
import datetime

from tidegate.flows.base import After, CommandErrored, CommandRefused, Publish, Request, Tell
from tidegate.flows.images.image_gate import ImageFacts, ImageGate, ImageTest
from tidegate.flows.images.tag_ownership import TagApproved, TagPushed, TagSettled
from tidegate.references import ImageRef

# Events ------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class ImagePushed:
    """An image was pushed to staging under a tag."""

    image: ImageRef
    tag: str
    order: str
    gate: ImageGate
    request: Request


@dataclasses.dataclass(frozen=True, slots=True)
class PromotionRequested:
    """Somebody asks for the promotion of a digest, under a tag or without one."""

    image: ImageRef
    tag: str
    order: str
    gate: ImageGate
    request: Request
    override: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ImageInspected:
    """What the registry says about the digest."""

    attempt: int
    facts: ImageFacts
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ImageTestStarted:
    """A run was scheduled."""

    attempt: int
    run: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ImageTestRunning:
    """The n-th look found no verdict."""

    attempt: int
    check: int
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ImageTestPassed:
    """The test ended well; its log is at rest."""

    attempt: int
    log_url: str
    log_sha256: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ImageTestFailed:
    """The image had its chance."""

    attempt: int
    reason: str
    log_url: str
    log_sha256: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ImageTestErrored:
    """There is no verdict: the infrastructure failed."""

    attempt: int
    reason: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ImportStarted:
    """The destination began to copy."""

    attempt: int
    operation: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ImportRunning:
    """The n-th look found it still copying."""

    attempt: int
    check: int
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ImageImported:
    """The digest was read back at the destination."""

    attempt: int
    already: bool
    """It was there before; nothing was written."""
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ImportFailed:
    """The registry gave up, or said it was done while the digest is not there."""

    attempt: int
    reason: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ReferrersCopied:
    """What is attached at the destination now."""

    attempt: int
    copied: int
    types: tuple[str, ...]
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class RecordAttached:
    """The promotion record is attached at the destination."""

    attempt: int
    digest: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ManifestLocked:
    """The manifest can no longer be overwritten or deleted."""

    attempt: int
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ImageTestEnded:
    """Somebody says that the run of a test has ended: a reason to look now, and no verdict."""

    run: str
    at: datetime.datetime


type Asked = ImagePushed | PromotionRequested
type Answer = (
    ImageInspected
    | ImageTestStarted
    | ImageTestRunning
    | ImageTestPassed
    | ImageTestFailed
    | ImageTestErrored
    | ImportStarted
    | ImportRunning
    | ImageImported
    | ImportFailed
    | ReferrersCopied
    | RecordAttached
    | ManifestLocked
    | CommandRefused
    | CommandErrored
)
type Event = Asked | Answer | ImageTestEnded | TagSettled


# Commands ----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class InspectImage:
    """Read manifest and configuration."""

    image: ImageRef
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class StartImageTest:
    """Start a run pinned to the digest."""

    image: ImageRef
    test: ImageTest
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class CheckImageTest:
    """Look for the verdict; keep the log when there is one."""

    image: ImageRef
    run: str
    attempt: int
    check: int


@dataclasses.dataclass(frozen=True, slots=True)
class StopImageTest:
    """Nobody waits for the run any more."""

    run: str


@dataclasses.dataclass(frozen=True, slots=True)
class ImportImage:
    """Copy the digest, unless it is there."""

    source: ImageRef
    target: ImageRef
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class CheckImport:
    """Look whether the copy ended, and read it back."""

    target: ImageRef
    operation: str
    attempt: int
    check: int


@dataclasses.dataclass(frozen=True, slots=True)
class CopyReferrers:
    """Copy what is attached to the image."""

    source: ImageRef
    target: ImageRef
    types: tuple[str, ...]
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class AttachRecord:
    """Attach the promotion record to the image at its destination."""

    target: ImageRef
    statement: str
    annotations: tuple[tuple[str, str], ...]
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class LockManifest:
    """Forbid to overwrite or delete the manifest."""

    target: ImageRef
    attempt: int


type Effect = (
    InspectImage
    | StartImageTest
    | CheckImageTest
    | StopImageTest
    | ImportImage
    | CheckImport
    | CopyReferrers
    | AttachRecord
    | LockManifest
    | Publish
    | Tell[TagPushed | TagApproved]
)
type Command = Effect | After[Effect]
