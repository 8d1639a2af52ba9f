"""The invariants of alerts, B1-B7, checked after every step and at the end of a run.

B1 every run that failed is in a mail, or in a mail that nobody took and that lies where dead letters are
B2 a run is in one mail; a mail goes out once, but for crashes between sending and writing that down
B3 no run that did not fail is in a mail
B4 mails stay within the rate
B5 no secret gets anywhere, subjects are one line, links lead to allowed hosts
B6 a mail that does not go out holds no run up
B7 a workflow that does not answer for long shows in the health check
"""

from __future__ import annotations

import collections
import datetime
import json
import re
from typing import TYPE_CHECKING

from tests.fakes import Fault
from tests.simulator.alert_scenarios import WORKSPACE, RunEnds
from tests.simulator.fibers import Invocation
from tests.simulator.invariants import Violation
from tidegate.api.alert_health import LATE_AFTER
from tidegate.flows.alerts import mailing
from tidegate.flows.alerts.alert_mail import Mail
from tidegate.flows.base import flow_name
from tidegate.flows.jobs import job_failure
from tidegate.records import Record
from tidegate.references import JobRef

if TYPE_CHECKING:
    from tests.simulator.alert_run import AlertRun

ROUTES = ("team", "default")
DECIDED_WITHIN = datetime.timedelta(hours=2)
"""By then the record of a run has decided, whatever a mail does: read, tried again, and resubmitted once."""
_INNOCENT = ("completed", "rumour", "noise", "step")
"""Endings that nobody hears of; of a step that was evicted, its pipeline says what there is to say."""
_WINDOW = (Fault.FAIL_AFTER, Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
_DECIDED = (job_failure.Alerted, job_failure.Resubmitted, job_failure.Disregarded)
_LINK = re.compile(r"https?://([^/\s]+)")


class AlertWatch:
    """Looks at one run."""

    def __init__(self, run: AlertRun) -> None:
        self._run = run
        self._ended: dict[str, RunEnds] = {}
        self._seen = 0
        self._first: dict[str, datetime.datetime] = {}
        """When each mail went out first."""
        self._sends: collections.Counter[str] = collections.Counter()
        self._windows = 0
        """Faults that may repeat a mail."""
        self._senders: set[Invocation] = set()
        """Who has sent a mail, and may not have written that down yet."""
        self._unanswered: datetime.datetime | None = None
        """Since when a mail is tried in vain."""

    def ended(self, ends: RunEnds) -> None:
        """A run ended."""
        self._ended[ends.name] = ends

    def before(self, invocation: Invocation, fault: Fault) -> None:
        """A call is about to take place."""
        self._windows += fault in _WINDOW or (fault is not Fault.OK and invocation in self._senders)
        if invocation.call == ("AlertEmail", "send"):
            self._senders.add(invocation)
            answered = fault is Fault.OK and not self._run.is_down()
            self._unanswered = None if answered else self._unanswered or self._run.clock.now()

    def look(self) -> None:
        """After every step."""
        sent = self._run.app.email.sent
        for at, mail in sent[self._seen :]:
            self._sends[mail.id] += 1
            self._first.setdefault(mail.id, at)
            self._check(mail)
        self._seen = len(sent)
        self._check_health()

    def check_end(self) -> None:
        """When nothing is left to happen."""
        self._check_all_told()
        self._check_once()
        self._check_secrets()
        for name, ends in self._ended.items():
            if ends.ending in ("code", "evicted", "step", "pipeline", "noise"):
                self._check_decided(name)

    def failed(self) -> set[str]:
        """Runs that people have to hear of."""
        submitted = {job.run for job in self._run.app.jobs.submitted}
        by_code = {name for name, ends in self._ended.items() if ends.ending == "code"}
        evicted = {name for name, ends in self._ended.items() if ends.ending in ("evicted", "pipeline")}
        return by_code | {name for name in evicted if f"{name}-attempt-1" not in submitted}

    def _check(self, mail: Mail) -> None:
        if "\n" in mail.subject or "\r" in mail.subject or len(mail.subject) > 200:
            raise Violation("B5", f"the subject {mail.subject!r}")
        hosts = set(_LINK.findall(mail.text)) - {"ml.azure.com", "app.example"}
        if hosts:
            raise Violation("B5", f"links to {hosts}")
        innocent = {name for name, ends in self._ended.items() if ends.ending in _INNOCENT}
        if "Recovered" not in mail.subject and (blamed := _named(mail.text) & innocent):
            raise Violation("B3", f"{blamed} did not fail, and {mail.subject!r} says so")
        policy = self._run.app.policy
        for start in self._first.values():
            within = [at for at in self._first.values() if 0 <= (at - start).total_seconds() < policy.within]
            if len(within) > policy.mails + self._windows + self._run.slow:
                raise Violation("B4", f"{len(within)} mails within {policy.within} s")

    def _check_health(self) -> None:
        now = self._run.clock.now()
        since = self._unanswered
        sending = any(self._sending_since(now))
        if since and sending and now - since > LATE_AFTER + datetime.timedelta(minutes=1):
            health = self._run.bug.health(self._run.app.runner.records, ROUTES, now)
            if health["status"] == "ok":
                raise Violation("B7", f"no answer since {since:%H:%M:%S}, and health says that all is well")

    def _sending_since(self, now: datetime.datetime) -> list[datetime.datetime]:
        found = []
        for key, row in self._run.app.store.rows.items():
            if flow_name(key) == mailing.NAME:
                record: Record = self._run.app.runner.records.codec.decode(row.body)
                found += [each.since for each in record.outbox if isinstance(each.command, mailing.SendMail)]
        return [since for since in found if now - since > LATE_AFTER]

    def _check_all_told(self) -> None:
        told = set().union(*(_named(mail.text) for mail in self._run.app.email.mails), set())
        letters = " ".join(each.body for each in self._run.app.evidence.dead_letters.values())
        kept = {name for name in self.failed() if self._run.refused and (name in letters or not letters.isascii())}
        if self._run.refused and self._run.app.evidence.dead_letters:
            kept |= self._in_letters()
        if missing := self.failed() - told - kept:
            raise Violation("B1", f"{sorted(missing)} are in no mail")

    def _in_letters(self) -> set[str]:
        codec, found = self._run.app.runner.records.codec, set[str]()
        for letter in self._run.app.evidence.dead_letters.values():
            mail = codec.decode(letter.body)
            if isinstance(mail, mailing.SendMail):
                found |= {name for each in mail.what for name in each.names}
        return found

    def _check_once(self) -> None:
        repeated = sum(count - 1 for count in self._sends.values())
        if repeated > self._windows + (len(self._sends) if self._run.slow else 0):
            raise Violation("B2", f"{repeated} mails went out again, with {self._windows} crashes or lost answers")
        for name in self.failed():
            mails = {mail.id for mail in self._run.app.email.mails if name in _listed(mail)}
            if len(mails) > 1:
                raise Violation("B2", f"{name} is news in {sorted(mails)}")

    def _check_secrets(self) -> None:
        world = self._run.app
        canary = "canary-7Q2"
        places = {
            "a mail": [mail.subject + mail.text + mail.html for mail in world.email.mails],
            "the evidence": [data.decode(errors="replace") for data, _ in world.evidence.blobs.values()],
            "a record": [row.body for row in world.store.rows.values()],
            "an outcome": [json.dumps(each.data) for each in world.topic.published],
        }
        for place, texts in places.items():
            if any(canary in text for text in texts):
                raise Violation("B5", f"a secret of a log is in {place}")

    def _check_decided(self, name: str) -> None:
        key = job_failure.key(JobRef(WORKSPACE, name))
        record, _ = self._run.app.runner.records.load(key)
        if not isinstance(record.state, _DECIDED):
            raise Violation("B6", f"{name} is {type(record.state).__name__} at the end")
        rows = self._run.app.store.audit[key]
        late = rows[max(rows)].at - (self._run.started + datetime.timedelta(seconds=self._ended[name].seconds))
        if late > DECIDED_WITHIN and not self._ended[name].lost:
            raise Violation("B6", f"{name} was decided after {late}")


def _named(text: str) -> set[str]:
    """Every word of a mail that may be the name of a run."""
    return {word.strip(",():") for word in text.split()}


def _listed(mail: Mail) -> set[str]:
    """Runs that a mail brings news of: not the one that a recovery or a repetition merely shows as the latest."""
    if "Digest:" in mail.subject:
        return set().union(*(_listed_in(block) for block in mail.text.split("\n\n")[2:]))
    several = mail.text.partition("All of it: ")[2].partition("\n")[0]
    if "Recovered" in mail.subject:
        return _named(several)
    return _named(several) or _named(mail.text)


def _listed_in(block: str) -> set[str]:
    """Of a line of a digest: the names below its title, or the one in it."""
    title, *below = block.splitlines()
    names = next((line for line in below if not line.startswith("  https:")), "")
    return _named(names) or (set() if title.startswith("Recovered:") else _named(title))
