"""Carries out what the flows of runs, incidents and mails ask for."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import hmac
import json
import logging
import re
from collections.abc import Callable, Sequence

from tidegate.errors import NotFound, PermanentError, TransientError
from tidegate.flows.alerts import alert_mail, letter_watch, mailing, safe_text
from tidegate.flows.alerts.alert_mail import Button, Entry, Mail
from tidegate.flows.alerts.alert_policy import AlertPolicy
from tidegate.flows.alerts.notices import Line, Notice, line_of
from tidegate.flows.jobs import job_messages as jobs
from tidegate.flows.jobs.job_facts import JobFacts
from tidegate.ports import AlertEmail, Clock, Evidence, ImageRegistry, Jobs, Secrets
from tidegate.references import ImageRef, JobRef
from tidegate.signed_links import Action, url

LOG_LIMIT = 64 * 1024
"""Characters of a run's log that are read and kept: its end."""

RUN_LOGS = "runs"
"""Folder of the evidence where the logs of runs are."""

_log = logging.getLogger("tidegate.alerts")

_DIGEST = re.compile(r"(?P<registry>[a-z0-9]+)\.azurecr\.io/(?P<repository>[^@:]+)@(?P<digest>sha256:[a-f0-9]{64})\Z")

LETTERS = 100
"""Dead letters of Event Grid that one look tells of; the next follows at once."""
SETTLED = datetime.timedelta(minutes=1)
"""How old a dead letter must be: by then none that was written before it can still appear."""

READING = (jobs.DescribeRun, letter_watch.LookForLetters)
COMMANDS = (*READING, jobs.ResubmitRun, mailing.KeepPage, mailing.KeepMail, mailing.SendMail)


@dataclasses.dataclass(frozen=True, slots=True)
class Links:
    """How the buttons of mails are made."""

    secrets: Secrets
    address_secret: str
    """Secret with the signed address of the workflow that sends mails."""
    base: str
    """Where people reach the app."""

    def key(self) -> str:
        """What signs; empty: nothing, and mails have no buttons.

        It follows from the workflow's address, which only the vault, this app and the workflow know. The workflow sees every
        button anyway, so a key of its own would keep nothing from anybody, and would have to be made and kept.
        """
        try:
            address = self.secrets.get(self.address_secret) if self.base else ""
        except PermanentError:
            return ""
        return hmac.new(address.encode(), b"buttons of mails", hashlib.sha256).hexdigest() if address else ""


@dataclasses.dataclass(frozen=True, slots=True)
class JobEffects:
    """The effects around runs and alerts."""

    jobs: Jobs
    email: AlertEmail
    registry: ImageRegistry
    healthy: str
    evidence: Evidence
    links: Links
    policy: AlertPolicy
    clock: Clock
    encode: Callable[[object], str]
    """A command as the text that brings it back."""

    def carry_out(self, command: object) -> object | None:
        """The event that a command leads to. Errors are the caller's."""
        match command:
            case jobs.DescribeRun(job, attempt):
                return self._described(job, attempt)
            case jobs.ResubmitRun(job, name, moves, tags, attempt):
                return jobs.RunResubmitted(attempt, self.jobs.resubmit(job, name, moves, tags), self.clock.now())
            case letter_watch.LookForLetters(after, attempt):
                now = self.clock.now()
                found = self.evidence.arrived(after, now - SETTLED, LETTERS)
                return letter_watch.LettersFound(attempt, found, now)
            case mailing.KeepPage(name, lines):
                self.evidence.put(name, _page(lines, self.policy.hosts), "application/json")
                return None
            case mailing.KeepMail(mail, reason):
                self._keep(mail, reason)
                return None
            case mailing.SendMail():
                self.email.send(self._mail(command))
                return mailing.MailSent(command.attempt, self.clock.now())
            case _:
                raise TypeError(f"{type(command).__name__} is not a command of any flow")

    def _described(self, job: JobRef, attempt: int) -> object:
        try:
            facts = self._kept(self._with_image(self.jobs.describe(job, LOG_LIMIT)))
        except NotFound:
            return jobs.RunMissing(attempt, self.clock.now())
        return jobs.RunDescribed(attempt, facts, self.clock.now())

    def _with_image(self, facts: JobFacts) -> JobFacts:
        """Whether the image is one that was promoted, for images named by digest."""
        named = _DIGEST.match(facts.image)
        if named is None:
            return dataclasses.replace(facts, in_healthy="elsewhere" if ".azurecr.io/" in facts.image else "")
        if named["registry"] != self.healthy:
            return dataclasses.replace(facts, in_healthy="elsewhere")
        try:
            there = self.registry.exists(ImageRef(named["registry"], named["repository"], named["digest"]))
        except (PermanentError, TransientError) as error:  # no alert waits for a registry that does not answer
            _log.warning("%s", json.dumps({"unknown": facts.image[:300], "reason": str(error)}))
            return facts
        return dataclasses.replace(facts, in_healthy="yes" if there else "no")

    def _kept(self, facts: JobFacts) -> JobFacts:
        """Masked before anything of it is stored: nothing of a secret stays here."""
        steps = tuple(dataclasses.replace(step, error=safe_text.masked(step.error)) for step in facts.steps)
        facts = dataclasses.replace(facts, error=safe_text.masked(facts.error), steps=steps)
        if not facts.log:
            return facts
        log = safe_text.masked(safe_text.plain(facts.log))
        name = f"{RUN_LOGS}/{facts.job.workspace}/run-{facts.job.run}.log"
        self.evidence.put(name, log.encode(), "text/plain; charset=utf-8")
        return dataclasses.replace(facts, log=log, log_name=name)

    def _mail(self, command: mailing.SendMail) -> Mail:
        route = self.policy.named(command.route)
        identity = f"{command.route}/{command.attempt}"
        if not command.pages and isinstance(notice := command.what[0], Notice):
            return alert_mail.single(identity, notice, self._buttons(notice), self.policy.hosts, route.to)
        entries = [entry for name in command.pages for entry in self._entries(name)]
        lines = [line_of(each) if isinstance(each, Notice) else each for each in command.what]
        entries += [alert_mail.entry(line, self.policy.hosts) for line in lines]
        return alert_mail.digest(identity, entries, "error", route.to)

    def _keep(self, mail: mailing.SendMail, reason: str) -> None:
        """Where dead letters are; the alert about dead letters does not tell of it: it would take the same way."""
        identity = hashlib.sha256(f"mail/{mail.route}/{mail.attempt}".encode()).hexdigest()[:32]
        why = f"a mail that nobody took: {reason}"
        if self.evidence.park(identity, why, self.encode(mail), self.clock.now()):
            _log.error("%s", json.dumps({"undelivered": identity, "route": mail.route, "reason": reason}))

    def _entries(self, name: str) -> Sequence[Entry]:
        stored = self.evidence.get(name, 4 << 20)
        if stored is None:  # its own command was put off, or storage lags behind
            raise TransientError(f"{name}: the page is not there yet")
        return [
            Entry(each["title"], each["link"], tuple(each["names"]), each["count"], each.get("why", ""))
            for each in json.loads(stored)
        ]

    def _buttons(self, notice: Notice) -> tuple[Button, ...]:
        key = self.links.key()
        alert = notice.alert
        wanted: list[tuple[str, Action, str]] = []
        if alert.approval:
            wanted.append(("See what it asks for", "approve", alert.approval))
        if alert.log_name:
            wanted.append(("See the log", "log", alert.log_name))
        if alert.record and notice.kind != "recovered":
            wanted.append(("Submit it again", "resubmit", alert.record))
        if notice.kind != "recovered":
            wanted.append(("Mute this for a day", "mute", notice.incident))
        now = self.clock.now()
        return tuple(
            Button(label, url(self.links.base, key, action, subject, now)) for label, action, subject in wanted
        )


def _page(lines: Sequence[Line], hosts: Sequence[str]) -> bytes:
    entries = [dataclasses.asdict(alert_mail.entry(line, hosts)) for line in lines]
    return json.dumps(entries, ensure_ascii=False).encode()
