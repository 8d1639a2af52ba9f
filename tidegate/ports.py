"""What the flows need of the outside, in our words; each method says what carrying it out twice means.

Every method may raise TransientError (no answer, or 'not now'); PermanentError is raised only where a method says so.
No method waits on a long-running operation: it is started, and asked about later.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from tidegate.flows.alerts.alert_mail import Mail
from tidegate.flows.alerts.letter_watch import Letters, Mark
from tidegate.flows.base import Pairs
from tidegate.flows.images.image_gate import ImageFacts, ImageTest
from tidegate.flows.jobs.job_facts import JobFacts
from tidegate.references import ImageRef, JobRef, TagRef


@dataclasses.dataclass(frozen=True, slots=True)
class ImportRunning:
    """The registry is still copying."""


@dataclasses.dataclass(frozen=True, slots=True)
class ImportDone:
    """The registry says it copied; the destination still has to be read back."""


@dataclasses.dataclass(frozen=True, slots=True)
class ImportFailed:
    """The registry gave up on this import."""

    reason: str


type ImportStatus = ImportRunning | ImportDone | ImportFailed


@dataclasses.dataclass(frozen=True, slots=True)
class ReferrersCopied:
    """What is attached to the image at its destination now."""

    copied: int
    """Referrers written by this call; 0 when all were there."""
    types: tuple[str, ...]
    """Artifact types present at the destination, sorted, without our own promotion record."""


@dataclasses.dataclass(frozen=True, slots=True)
class TagPlaced:
    """The tag names the wanted digest, read back."""

    previous: str
    """The digest it named before; empty: none; equal to the wanted one: nothing was written."""


@dataclasses.dataclass(frozen=True, slots=True)
class TagTaken:
    """An immutable tag names another digest; nothing was written."""

    digest: str


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """A call as a dry run shows it."""

    name: str
    on: str
    """The resource, or URL, it is made on."""
    detail: str
    """Its body as JSON, or words."""


class ImageRegistry(Protocol):
    """Both container registries, named by their registry name. Only registries of the settings are ever contacted."""

    def resolve(self, tag: TagRef) -> str | None:
        """The digest a tag names now; None: no such tag. Reading."""

    def exists(self, image: ImageRef) -> bool:
        """Whether the manifest is there, by HEAD on its digest. Reading."""

    def inspect(self, image: ImageRef) -> ImageFacts:
        """Manifest and configuration of a digest and of an index's children. Reading. PermanentError: no such digest."""

    def start_import(self, source: ImageRef, target: ImageRef) -> str:
        """Start the copy of exactly these bytes, untagged, the whole index included; gives a token for `import_status`.

        Twice: the same content is copied once, the second import finds it there. PermanentError: refused.
        """

    def import_call(self, source: ImageRef, target: ImageRef) -> Call:
        """The call `start_import` would make. Nothing is sent."""

    def import_status(self, operation: str) -> ImportStatus:
        """How an import is going; one question, no waiting. Reading. A lost operation is ImportFailed."""

    def copy_referrers(self, source: ImageRef, target: ImageRef, types: Sequence[str]) -> ReferrersCopied:
        """Copy what is attached to the image or its children and matches a glob of `types`. Twice: nothing is written."""

    def attach_record(self, target: ImageRef, statement: bytes, annotations: Sequence[tuple[str, str]]) -> str:
        """Attach an in-toto statement as an OCI referrer; gives its digest. Twice with the same bytes: one referrer."""

    def place_tag(self, target: TagRef, digest: str, *, movable: bool, lock: bool) -> TagPlaced | TagTaken:
        """Make the tag name the digest, read it back, lock it if asked. Twice: nothing is written.

        A tag that names another digest, locked or not, is moved only if `movable`.
        """

    def lock_manifest(self, target: ImageRef) -> None:
        """Forbid to overwrite or delete the manifest. Twice: the same."""


@dataclasses.dataclass(frozen=True, slots=True)
class TestRunning:
    """No verdict yet."""


@dataclasses.dataclass(frozen=True, slots=True)
class TestPassed:
    """The command ended with 0."""


@dataclasses.dataclass(frozen=True, slots=True)
class TestFailed:
    """The image had its chance: the command ended with another code, or ran out of time."""

    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class TestErrored:
    """No verdict: the infrastructure failed, the run was lost or cancelled."""

    reason: str


type TestStatus = TestRunning | TestPassed | TestFailed | TestErrored


class ImageTests(Protocol):
    """Runs an image's test in a sandbox, pinned to the digest."""

    def start(self, image: ImageRef, test: ImageTest) -> str:
        """Start a run and give its id. Twice: two runs; the flow listens to the first it learns of. PermanentError: refused."""

    def start_call(self, image: ImageRef, test: ImageTest) -> Call:
        """The call `start` would make. Nothing is sent."""

    def status(self, run: str) -> TestStatus:
        """One question, no waiting. Reading. A run that is not known any more is TestErrored."""

    def log(self, run: str, limit: int) -> bytes:
        """The end of the run's output, at most `limit` bytes. Reading; empty when there is none."""

    def stop(self, run: str) -> None:
        """Cancel the run. Twice, or after its end: nothing happens."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """A piece of evidence at rest."""

    url: str
    sha256: str
    size: int


@dataclasses.dataclass(frozen=True, slots=True)
class Parked:
    """An event that no flow could take: refused by Event Grid's endpoint, malformed, or given up on."""

    id: str
    """Opaque; names it in the API."""
    reason: str
    at: datetime.datetime
    body: str
    """The event as it came."""


class Evidence(Protocol):
    """Blobs that nobody overwrites: test logs, reports; and the dead letters of people and of Event Grid."""

    def put(self, name: str, data: bytes, content_type: str) -> Stored:
        """Store under a name (path-safe characters only). Twice: the first content stays and is what is returned."""

    def get(self, name: str, limit: int) -> bytes | None:
        """The last `limit` bytes of a piece of evidence; None: no such name. Reading."""

    def park(self, id: str, reason: str, body: str, at: datetime.datetime) -> bool:
        """Keep an event nobody could take; True the first time this id is parked, so that people are told once."""

    def parked(self, limit: int, cursor: str | None) -> tuple[Sequence[Parked], str | None]:
        """Dead letters, ours and Event Grid's alike, one page and the next page's cursor. Reading."""

    def arrived(self, after: Mark, before: datetime.datetime, limit: int) -> Letters:
        """Event Grid's own letters written after a place and not after a time, at most `limit`, oldest first. Reading.

        A blob that lost some of its events to replays did not arrive again.
        """

    def parked_one(self, id: str) -> Parked | None:
        """One dead letter. Reading."""

    def unpark(self, id: str) -> None:
        """Forget a dead letter after its replay. Twice: nothing happens."""


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """A record as it is stored: the codec's text, what lists and timers filter by, and the version that a write must name."""

    key: str
    flow: str
    body: str
    """The whole record (state, outbox, history length) in the codec's text; up to 900 kB."""
    etag: str = ""
    """Empty: there is no such row yet."""
    wake_at: datetime.datetime | None = None
    """When the outbox wants attention; None: nothing is left to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Watched:
    """A record that may have something to do."""

    key: str
    at: datetime.datetime
    """When it last got something to do."""
    etag: str


@dataclasses.dataclass(frozen=True, slots=True)
class AuditRow:
    """One transition: who did what, why, from what to what, with which evidence."""

    sequence: int
    """1 for a record's first transition; with the key it is the identity of the row."""
    at: datetime.datetime
    who: str
    what: str
    why: str
    before: str
    after: str
    evidence: str
    """URL, or empty."""


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """A record as lists show it."""

    key: str
    id: str
    """What people and URLs call it: short, stable, derived from the key."""
    since: datetime.datetime
    """First seen; lists are sorted by it, newest first."""
    updated: datetime.datetime
    state: str
    repository: str
    tags: tuple[str, ...]
    digest: str
    reason: str


class StateStore(Protocol):
    """Records with optimistic concurrency, their audit rows, and a list of them."""

    def load(self, key: str) -> Row | None:
        """The record as of now (a point read). Reading."""

    def save(self, row: Row, audit: Sequence[AuditRow]) -> str:
        """Write record and audit rows in one transaction if the stored version is still `row.etag`; gives the new one.

        StateConflict: it is not. Twice: the second is a StateConflict.
        """

    def history(self, key: str) -> Sequence[AuditRow]:
        """All audit rows of a record in order. Reading."""

    def watch(self, key: str, at: datetime.datetime) -> None:
        """Put the record among those that may have something to do, before it has. Twice: the later time counts."""

    def watched(self, before: datetime.datetime) -> Iterable[Watched]:
        """Those that were put there, last, before a time; their number is that of the work, not of the records. Reading."""

    def unwatch(self, watched: Watched) -> None:
        """Take it out, unless it was put there again since it was read. Twice: nothing."""

    def list_entry(self, summary: Summary) -> None:
        """Put the record into the list, or renew its entry; an entry older than the stored one is dropped. Twice: the same."""

    def listed(
        self, *, state: str | None, repository: str | None, limit: int, cursor: str | None, flow: str | None = None
    ) -> tuple[Sequence[Summary], str | None]:
        """One page of the list, newest first, and the next page's cursor. `flow`: only records of this flow.

        MalformedEvent: not a cursor of ours. Reading.
        """

    def find(self, id: str) -> Summary | None:
        """The entry with this id. Reading."""


class WorkQueue(Protocol):
    """Messages that come back until they are handled."""

    def send(self, message: str, delay: float) -> None:
        """Enqueue text (at most 48 kB), visible after `delay` seconds, or less than half a second before. Twice: two messages."""


class Secrets(Protocol):
    """Named secrets."""

    def get(self, name: str) -> str:
        """The current value. Reading. PermanentError: no such secret."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a flow came to, for other systems."""

    id: str
    """The outcome's own id: the same on every publishing."""
    type: str
    """`Tidegate.ImagePromoted`, `Tidegate.ImageRejected`, ..."""
    subject: str
    at: datetime.datetime
    data: tuple[tuple[str, str | int | bool | tuple[str, ...]], ...]


class OutcomeTopic(Protocol):
    """A custom Event Grid topic that takes CloudEvents."""

    def publish(self, outcome: Outcome) -> None:
        """Publish as a CloudEvent. Twice: subscribers see the same id twice."""


@dataclasses.dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that ended, as a list of runs shows it."""

    job: JobRef
    status: str
    """In lower case."""
    experiment: str
    created: datetime.datetime
    test_of: str = ""
    """The image it is the test of, as its tag says."""


class Jobs(Protocol):
    """Runs in the machine learning workspaces of this installation."""

    def describe(self, job: JobRef, log_limit: int) -> JobFacts:
        """The run with the end of its log (at most `log_limit` characters). Reading. NotFound: no such run.

        PermanentError: it may not be read. What only explains it, and may not be read, is left out.
        """

    def resubmit(self, job: JobRef, name: str, moves: Pairs, tags: Pairs) -> str:
        """Submit the run once more under a name, with more tags; gives the name. `moves`: (compute, compute instead of it).

        Twice: a run of this name that is there is left as it is. PermanentError: refused.
        """

    def ended(self, workspace: str, limit: int) -> Sequence[EndedRun]:
        """The newest runs that ended, newest first, among the last `limit` runs. Reading."""


class AlertEmail(Protocol):
    """The workflow that turns a request into a mail."""

    def send(self, mail: Mail) -> None:
        """Send it. Twice: two mails with one id. PermanentError: it is refused, or no workflow is set up."""


class Clock(Protocol):
    """The time of this machine."""

    def now(self) -> datetime.datetime:
        """Aware, UTC."""


class Spans(Protocol):
    """Tells telemetry what is being done about a record, and how long it takes."""

    def __call__(self, key: str, name: str, /) -> AbstractContextManager[None]:
        """Around what is done."""


class CarryOut(Protocol):
    """Carries out one command of a flow and says what came of it."""

    def __call__(self, command: object) -> object | None:
        """An event for the same record, or None. TransientError: try again later."""

    def is_reading(self, command: object) -> bool:
        """Whether doing it twice at the same time costs nothing, so that no lease is needed."""
