"""What the buttons in mails lead to: a page that says what would be done, and the doing of it."""

from __future__ import annotations

import dataclasses
import datetime
import html
from collections.abc import Mapping

from tidegate import references, signed_links
from tidegate.api.answers import LOG_LIMIT, Answer, Page
from tidegate.api.approvals import Approvals
from tidegate.errors import MalformedEvent, NotFound
from tidegate.flows.alerts import incident
from tidegate.flows.alerts.incident import Muted
from tidegate.flows.jobs import job_failure
from tidegate.flows.jobs.job_messages import ResubmitRequested
from tidegate.identity import Shown
from tidegate.job_effects import RUN_LOGS, Links
from tidegate.ports import Clock, Evidence
from tidegate.references import JobRef
from tidegate.runner import Runner
from tidegate.signed_links import Link

MUTED_FOR = datetime.timedelta(days=1)
WHO = "the link in a mail"


@dataclasses.dataclass(frozen=True, slots=True)
class Actions:
    """The actions of one installation."""

    runner: Runner
    evidence: Evidence
    links: Links
    clock: Clock
    approvals: Approvals

    def show(self, action: str, query: Mapping[str, str]) -> Answer:
        """What the link is for; changes nothing, however often it is opened. MalformedEvent, Refused, NotFound."""
        link = self._checked(action, query)
        match link.action:
            case "log":
                return Answer(self._log(link.subject))
            case "mute":
                return _page(
                    "Mute this incident for a day?", "No mail about it until then. Failures are counted.", "Mute"
                )
            case "resubmit":
                return self._resubmitting(_job(link)) or _page(
                    "Submit this run again?",
                    f"{link.subject} goes on from its checkpoint, under a name of its own.",
                    "Submit it again",
                )
            case "approve":
                return self.approvals.show(link.subject, query)

    def take(self, action: str, query: Mapping[str, str], form: Mapping[str, str], shown: Shown) -> Answer:
        """Do it. Twice: the second changes nothing. MalformedEvent, Refused, NotFound; approvals: NotSignedIn, Forbidden."""
        link = self._checked(action, query)
        now = self.clock.now()
        match link.action:
            case "log":
                raise MalformedEvent("link: there is nothing to do with a log but to read it")
            case "mute":
                self.runner.deliver(link.subject, Muted(now + MUTED_FOR, WHO, now))
                if not isinstance(self._state(link.subject), incident.Open):
                    return _page("There is nothing to mute", "It went well again. The next failure is a new incident.")
                return _page("Muted", f"No mail about it until {now + MUTED_FOR:%Y-%m-%d %H:%M} UTC.")
            case "resubmit":
                job = _job(link)
                self.runner.deliver(job_failure.key(job), ResubmitRequested(WHO, now))
                return self._resubmitting(job) or _page("It cannot be submitted again", "Submit it in the studio.")
            case "approve":
                return self.approvals.take(link.subject, form, shown)

    def _resubmitting(self, job: JobRef) -> Answer | None:
        """What is under way already; None: nothing."""
        match self._state(job_failure.key(job)):
            case job_failure.Resubmitting():
                return _page("Asked for", f"{job} is being submitted again.")
            case job_failure.Resubmitted(successor=successor):
                return _page("It was submitted again", f"{job} goes on as {successor}.")
            case _:
                return None

    def _state(self, key: str) -> object:
        return self.runner.records.load(key)[0].state

    def _checked(self, action: str, query: Mapping[str, str]) -> Link:
        link = signed_links.check(self.links.key(), action, dict(query), self.clock.now())
        match link.action:
            case "mute" if not link.subject.startswith(f"{incident.NAME}:"):
                raise MalformedEvent("link: not about an incident")
            case "log" if not link.subject.startswith(f"{RUN_LOGS}/"):
                raise MalformedEvent("link: not the log of a run")
            case "resubmit":
                workspace, _, run = link.subject.partition("/")
                references.workspace(workspace, "link.subject")
                references.run(run, "link.subject")
            case _:
                pass
        return link

    def _log(self, name: str) -> bytes:
        data = self.evidence.get(name, LOG_LIMIT)
        if data is None:
            raise NotFound("there is no log")
        return data


def _job(link: Link) -> JobRef:
    workspace, _, run = link.subject.partition("/")
    return JobRef(workspace, run)


def _page(heading: str, words: str, button: str = "") -> Answer:
    """A page without script; its form posts to the page's own address, which a scanner that opens links does not do."""
    form = f'<form method="post"><button>{html.escape(button)}</button></form>' if button else ""
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Tidegate</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex"></head>'
        f"<body><h1>{html.escape(heading)}</h1><p>{html.escape(words)}</p>{form}</body></html>"
    )
    return Answer(Page(body))
