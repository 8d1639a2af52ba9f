"""Whom an alert goes to, how often, and why a run failed: the `alerts` of `gates.yaml` as plain values."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from tidegate.flows.base import Pairs
from tidegate.flows.jobs.job_facts import JobFacts
from tidegate.flows.patterns import matches, occurs

type Cause = Literal["eviction", "memory", "quota", "image", "data", "code", "unknown"]
CAUSES: tuple[Cause, ...] = get_args(Cause.__value__)

LAST_LINES = 60
"""Lines of a log that patterns look at."""
LONGEST_LINE = 500
"""Characters of a line that patterns look at, and that an alert quotes."""


@dataclasses.dataclass(frozen=True, slots=True)
class CauseRule:
    """A cause and the lines that show it. Rules are tried in order; the first with a line decides."""

    name: str
    cause: Cause
    lines: tuple[str, ...]
    """Patterns; one of them occurs in a line of the error or of the log."""
    examples: tuple[str, ...] = ()
    """Lines that the rule must match: checked when the file is loaded."""
    is_weak: bool = False
    """Whether its lines say that a run ended, and not why."""

    def shows(self, line: str) -> bool:
        """Whether a line shows the cause."""
        return any(occurs(pattern, line) for pattern in self.lines)


@dataclasses.dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a run failed, as far as a rule could tell."""

    cause: Cause
    rule: str
    line: str
    """The line that decided."""


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """Which alerts go where. Empty conditions match everything."""

    name: str
    to: tuple[str, ...]
    """Addresses; none: whom the workflow knows for the severity."""
    workspaces: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()
    tags: Pairs = ()
    """Tags with the pattern of their value; all of them must match."""
    causes: tuple[str, ...] = ()
    """Causes of failed runs, or kinds of other alerts (`image-rejected`)."""

    def may_take(self, workspace: str, experiment: str) -> bool:
        """Whether alerts of the experiment can go this way."""
        return _one(self.workspaces, workspace) and _one(self.experiments, experiment)

    def takes(self, workspace: str, experiment: str, tags: Pairs, cause: str) -> bool:
        """Whether an alert goes this way."""
        known = dict(tags)
        return (
            self.may_take(workspace, experiment)
            and all(matches(pattern, known.get(name, "")) for name, pattern in self.tags)
            and (not self.causes or cause in self.causes)
        )


@dataclasses.dataclass(frozen=True, slots=True)
class ResubmitRules:
    """What becomes of evicted runs."""

    attempts: int
    """Resubmissions of one run on the compute it was submitted to."""
    backoff: int
    """Seconds until the first; doubled each time, at most an hour."""
    dedicated: Pairs
    """Low-priority compute and the dedicated one that takes over its runs once the attempts are used up."""


@dataclasses.dataclass(frozen=True, slots=True)
class AlertPolicy:
    """All of `alerts`."""

    canceled: bool
    """Whether a canceled run is an alert."""
    window: int
    """Seconds without a failure after which the next failure of the same experiment is a new incident."""
    wait: int
    """Seconds that the first mail of an incident waits for more of the same."""
    repeat: int
    """Seconds between two mails about an incident that goes on."""
    mails: int
    within: int
    """At most `mails` mails go one way within this many seconds; what is more becomes a digest."""
    hosts: tuple[str, ...]
    """Hosts that links in mails may lead to, beside the app's own."""
    resubmit: ResubmitRules
    causes: tuple[CauseRule, ...]
    ignore: tuple[str, ...]
    """Patterns of lines: a failed run with one of them in its log is known noise, and wakes nobody."""
    routes: tuple[Route, ...]
    """The first that takes an alert; the last takes everything."""

    def route(self, workspace: str, experiment: str, tags: Pairs, cause: str) -> Route:
        """Which way an alert goes."""
        return next(route for route in self.routes if route.takes(workspace, experiment, tags, cause))

    def named(self, name: str) -> Route:
        """A way by its name; a name that is gone with a newer file leads to the last way."""
        return next((route for route in self.routes if route.name == name), self.routes[-1])

    def diagnose(self, facts: JobFacts) -> Diagnosis:
        """Which rule and which line decide; of several lines the last, nearest to the end."""
        said, logged = _said(facts), _logged(facts)
        for rule in self.causes:
            line = self._deciding(rule, said, logged)
            if line is not None:
                return Diagnosis(rule.cause, rule.name, line)
        return Diagnosis("unknown", "", said[0] if said else logged[-1] if logged else "")

    def _deciding(self, rule: CauseRule, said: list[str], logged: list[str]) -> str | None:
        """The line of the log that decides, else that of the service's words.

        A log tells of evictions that are over, too: of one that a run has survived, to fail by itself later.
        """
        place = next((place for place in reversed(range(len(logged))) if rule.shows(logged[place])), None)
        if place is not None and not (rule.cause == "eviction" and self._failed_in(logged[place + 1 :])):
            return logged[place]
        return next((line for line in reversed(said) if rule.shows(line)), None)

    def _failed_in(self, lines: list[str]) -> bool:
        """Whether lines show a failure of the run's own."""
        rules = [rule for rule in self.causes if rule.cause != "eviction" and not rule.is_weak]
        return any(rule.shows(line) for line in lines for rule in rules)

    def noise(self, facts: JobFacts) -> str | None:
        """The pattern that makes a failed run known noise."""
        lines = [*_said(facts), *_logged(facts)]
        return next((pattern for pattern in self.ignore if any(occurs(pattern, line) for line in lines)), None)


def _said(facts: JobFacts) -> list[str]:
    """The service's own words. Its code stands in brackets: `SystemError: no node` would look like an error of the code."""
    code = f"[{facts.error_code}] " if facts.error_code else ""
    return _lines(f"{code}{facts.error}")


def _logged(facts: JobFacts) -> list[str]:
    """The end of the log alone: a run that was evicted once and went on says so at the beginning."""
    return _lines(facts.log)[-LAST_LINES:]


def _lines(text: str) -> list[str]:
    return [line.strip()[:LONGEST_LINE] for line in text.splitlines() if line.strip()]


def _one(patterns: tuple[str, ...], name: str) -> bool:
    return not patterns or any(matches(pattern, name) for pattern in patterns)
