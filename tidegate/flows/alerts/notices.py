"""What alerts are made of: one thing that went wrong, and the notices about it that go out by mail."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Literal

from tidegate.flows.base import Pairs

type Severity = Literal["error", "warning", "info"]
type NoticeKind = Literal["failed", "again", "recovered"]

MAX_NAMES = 200
"""Things that one notice names; more make another notice, so that no record and no mail grows without bound."""
MAX_WHY = 300
"""Characters of a reason in a line that waits for a digest."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pages:
    """Lines that left a record and are among the evidence: numbered pages in a folder."""

    folder: str
    first: int
    last: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the pages, in order."""
        return tuple(page_name(self.folder, number) for number in range(self.first, self.last + 1))

    def __len__(self) -> int:
        return self.last - self.first + 1


def page_name(folder: str, number: int) -> str:
    """Where a page is kept."""
    return f"{folder}/{number:08d}.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Alert:
    """One thing that went wrong. Its texts may come from anywhere: they are escaped where they are shown."""

    id: str
    """The same for the same thing, however often it is told."""
    subject: str
    """What its incident is about: the experiment and whom it concerns, or what else may go wrong again."""
    name: str
    """What it happened to: a run, an image with its tag, a dead letter."""
    kind: str
    """Cause of a failed run, or kind of another alert, for example `image-rejected`."""
    severity: Severity
    title: str
    """One line: what went wrong with what."""
    why: str
    """The line, or the reason, that decided."""
    todo: str
    """What to do next."""
    route: str
    """Name of the route it takes."""
    at: datetime.datetime
    facts: Pairs = ()
    """Label and value."""
    log: str = ""
    """The end of the log."""
    link: str = ""
    """Where to see it; shown only if its host is allowed."""
    log_name: str = ""
    """Name of the kept log among the evidence."""
    record: str = ""
    """Id of the run's record, if it can be submitted again by hand."""
    approval: str = ""
    """`<stage>/<key of the delivery>` that a person is asked to decide on."""


@dataclasses.dataclass(frozen=True, slots=True)
class Notice:
    """What one mail, or one entry of a digest, says."""

    id: str
    kind: NoticeKind
    incident: str
    """Id of the incident's record, which people and URLs call it by."""
    alert: Alert
    """The latest of it; in a digest without its details."""
    names: tuple[str, ...]
    """All that it happened to and no earlier notice named; at most MAX_NAMES."""
    count: int
    """How often it happened since the incident began."""
    since: datetime.datetime
    at: datetime.datetime
    pages: Pages | None = None
    """Where more names are, of the time when people wanted to hear nothing."""


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """A notice as a line of a digest: what of it may wait in a record by the hundred."""

    kind: NoticeKind
    title: str
    link: str
    names: tuple[str, ...]
    count: int
    why: str = ""
    """Of the latest."""


def line_of(notice: Notice) -> Line:
    """The notice without its details."""
    alert = notice.alert
    why = "" if notice.kind == "recovered" else alert.why[:MAX_WHY]
    return Line(notice.kind, alert.title, alert.link, notice.names, notice.count, why)
