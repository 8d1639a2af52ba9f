"""The alert about a failed run: what failed, why, and what to do next."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

from tidegate.flows.alerts.alert_policy import Cause, Diagnosis
from tidegate.flows.alerts.notices import Alert
from tidegate.flows.base import Pairs
from tidegate.flows.jobs.job_facts import JobFacts

_WHY: Mapping[Cause, str] = {
    "eviction": "its node was taken away",
    "memory": "it ran out of memory",
    "quota": "there was no quota or capacity",
    "image": "its image could not be pulled",
    "data": "it could not read its data",
    "code": "its code failed",
    "unknown": "the cause is not known",
}
_NEXT_STEPS: Mapping[Cause, str] = {
    "eviction": "All resubmissions are used up. Submit it again when capacity is back, or on a dedicated compute.",
    "memory": "Use a smaller batch or a larger compute. The checkpoint is where the run left it.",
    "quota": "Ask for quota, use another size or region, or wait for capacity and submit it again.",
    "image": "Check that the image's digest is in the healthy registry and that the compute may pull it (AcrPull).",
    "data": "Check that the path exists and that the compute's identity may read it.",
    "code": "Read the end of the log, fix the code, and submit it again. It is not retried.",
    "unknown": "Read the log. A rule for it in alerts.causes of gates.yaml will name it the next time.",
}


_NOT_OURS = (
    "It is not submitted again by itself: only commands and pipelines are, and this is another kind of job, or one with too many "
    "failed steps. Submit it again when capacity is back, or on a dedicated compute."
)


_NOT_READ = (
    "Open the run in the studio. Mend what the reason names: the app reads runs, computes and environments by its role on the "
    "workspace (infra/data/roles.json)."
)


def job_alert(
    facts: JobFacts, diagnosis: Diagnosis, identity: str, subject: str, route: str, at: datetime.datetime
) -> Alert:
    """The alert. `identity` is the same for the same failure, however often it is told."""
    name = facts.display_name or facts.job.run
    return Alert(
        id=identity,
        subject=subject,
        name=facts.job.run,
        kind=diagnosis.cause,
        severity="warning" if facts.status == "canceled" else "error",
        title=f"{facts.experiment or facts.job.workspace}: {name} {facts.status}, {_WHY[diagnosis.cause]}",
        why=diagnosis.line,
        todo=_todo(facts, diagnosis.cause),
        route=route,
        at=at,
        facts=_facts(facts, diagnosis),
        log=facts.log,
        link=facts.studio,
        log_name=facts.log_name,
        record=str(facts.job) if facts.can_resubmit else "",
    )


def _todo(facts: JobFacts, cause: Cause) -> str:
    if not facts.is_read:
        return _NOT_READ
    return _NOT_OURS if cause == "eviction" and not facts.can_resubmit else _NEXT_STEPS[cause]


def _facts(facts: JobFacts, diagnosis: Diagnosis) -> Pairs:
    """What is known, as label and value; what is not known is left out."""
    cause = f"{diagnosis.cause} (rule {diagnosis.rule})" if diagnosis.rule else diagnosis.cause
    lineage = f"attempt {facts.attempt} of {facts.root}" if facts.attempt else ""
    rows = (
        ("Run", facts.job.run),
        ("Name", facts.display_name if facts.display_name != facts.job.run else ""),
        ("Experiment", facts.experiment),
        ("Workspace", facts.job.workspace),
        ("Owner", facts.owner),
        ("Cause", cause),
        ("Failed step", facts.failing_child),
        ("Part of", facts.parent),
        ("Resubmission", lineage),
        ("Compute", f"{facts.compute} ({facts.tier.replace('_', ' ')})" if facts.tier else facts.compute),
        ("Image", _image(facts)),
        ("Commit", facts.commit),
        ("Started", f"{facts.started:%Y-%m-%d %H:%M:%S} UTC" if facts.started else ""),
        ("Ran for", _duration(facts.seconds)),
        ("Last good run", facts.last_good),
    )
    return tuple((label, value) for label, value in rows if value)


def _image(facts: JobFacts) -> str:
    match facts.in_healthy:
        case "yes":
            return f"{facts.image} (in healthy)"
        case "no":
            return f"{facts.image} (NOT in healthy)"
        case "elsewhere":
            return f"{facts.image} (not from the healthy registry)"
        case "":
            return facts.image


def _duration(seconds: int) -> str:
    if seconds <= 0:
        return ""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "min"), (left, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)
