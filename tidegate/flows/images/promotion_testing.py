"""An image is read, held against the requirements of its gate, and tested."""

from __future__ import annotations

import dataclasses
import datetime

from tidegate.flows.base import After, CommandErrored, CommandRefused, Decision, run_poll_delay
from tidegate.flows.images import promotion_copying as copying
from tidegate.flows.images import promotion_ends as ends
from tidegate.flows.images import promotion_news as news
from tidegate.flows.images.image_gate import ImageFacts, unmet
from tidegate.flows.images.image_messages import (
    Answer,
    CheckImageTest,
    Effect,
    ImageInspected,
    ImageTestErrored,
    ImageTestFailed,
    ImageTestPassed,
    ImageTestRunning,
    ImageTestStarted,
    InspectImage,
    StartImageTest,
    StopImageTest,
)
from tidegate.flows.images.image_states import Ignored, Inspecting, State, Step, Testing, Work
from tidegate.flows.images.promotion_record import Verdict
from tidegate.flows.images.tag_ownership import TagPushed

TEST_GRACE = 900
"""Seconds a run may take beyond the gate's timeout (waiting for an agent, pulling the image) before it counts as lost."""
CLUSTER_GRACE = 6 * 3600
"""The same on a cluster: nodes with a GPU are waited for. A job that has begun is ended by its own limit, the gate's timeout."""
CLUSTER_LOOK = 60
"""Seconds between two looks at a job at the least: its own event ends the test, and looks make up for one that is lost."""


def inspect(work: Work, attempt: int) -> Step:
    """Begin: what was pushed, an image or something else?"""
    return Decision(Inspecting(work, attempt), (InspectImage(work.image, attempt),))


def inspected(state: Inspecting, event: Answer) -> Step:
    """The facts are here, or there is nothing to read."""
    work = state.work
    match event:
        case ImageInspected(facts=facts, at=at):
            return _judged(state, facts, at)
        case CommandRefused(reason=reason, at=at):
            return ends.rejected(work, state.attempt, "missing", reason, at)
        case CommandErrored(reason=reason, at=at):
            return ends.errored(work, state.attempt, "inspect", reason, at)
        case _:
            return Decision(state)


def _judged(state: Inspecting, facts: ImageFacts, at: datetime.datetime) -> Step:
    work, attempt = state.work, state.attempt + 1
    if facts.kind not in ("image", "index"):
        return Decision(Ignored(work, attempt, f"not an image: {facts.kind} ({facts.media_type})"))
    pushed = news.to_tags(work, TagPushed)
    problems = "; ".join(unmet(work.gate.require, facts))
    if problems and work.override is None:
        step = ends.rejected(work, attempt, "requirements", problems, at)
    elif problems:
        step = copying.begin_import(work, Verdict("overridden", at, reason=problems), attempt, at)
    elif work.gate.test.skip:
        step = copying.begin_import(work, Verdict("skipped", at, reason=work.gate.test.skip), attempt, at)
    else:
        step = _test(work, attempt, at)
    return Decision(step.state, (*pushed, *step.commands))


def _test(work: Work, attempt: int, at: datetime.datetime) -> Step:
    return Decision(Testing(work, attempt, at), (StartImageTest(work.image, work.gate.test, attempt),))


def tested(state: Testing, event: Answer) -> Step:
    """A run is started, looked at until it ends, and started again where it came to no verdict."""
    work = state.work
    match event:
        case ImageTestStarted(run=run, at=at) if not state.run:
            after = dataclasses.replace(state, run=run, since=at)
            return Decision(after, (_check_test(after, 1),))
        case ImageTestRunning(check=check, at=at) if check == state.checks + 1:
            return _still_testing(state, check, at)
        case ImageTestPassed(log_url=log, log_sha256=sha256, at=at):
            verdict = Verdict("passed", at, state.run, state.since, log, sha256)
            return copying.begin_import(work, verdict, state.attempt + 1, at)
        case ImageTestFailed(reason=reason, log_url=log, log_sha256=sha256, at=at):
            verdict = Verdict("failed", at, state.run, state.since, log, sha256, reason)
            if work.override is not None:
                overridden = dataclasses.replace(verdict, kind="overridden")
                return copying.begin_import(work, overridden, state.attempt + 1, at)
            return ends.rejected(work, state.attempt, "test", reason, at, verdict)
        case ImageTestErrored(reason=reason, at=at) | CommandRefused(reason=reason, at=at):
            return _test_errored(state, reason, at)
        case CommandErrored(reason=reason, at=at):
            return _test_errored(state, reason, at)
        case _:
            return Decision(state)


def _still_testing(state: Testing, check: int, at: datetime.datetime) -> Step:
    limit = state.work.gate.test.timeout + (CLUSTER_GRACE if _on_cluster(state) else TEST_GRACE)
    if (at - state.since).total_seconds() > limit:
        return _test_errored(state, f"no verdict within {limit} s", at)
    return Decision(dataclasses.replace(state, checks=check), (_check_test(state, check + 1),))


def _test_errored(state: Testing, reason: str, at: datetime.datetime) -> Step:
    """Infrastructure never becomes a failed test: try again, then ask people."""
    stop = (StopImageTest(state.run),) if state.run else ()
    if state.tries >= state.work.gate.test.attempts:
        step = ends.errored(state.work, state.attempt, "test", reason, at)
        return Decision(step.state, (*stop, *step.commands))
    again = Testing(state.work, state.attempt + 1, at, tries=state.tries + 1)
    start = StartImageTest(state.work.image, state.work.gate.test, again.attempt)
    return Decision(again, (*stop, After(min(15 * 4 ** (state.tries - 1), 900), start)))


def _check_test(state: Testing, check: int) -> After[Effect]:
    wait = run_poll_delay(check)
    look = CheckImageTest(state.work.image, state.run, state.attempt, check)
    return After(max(wait, CLUSTER_LOOK) if _on_cluster(state) else wait, look)


def _on_cluster(state: Testing) -> bool:
    return state.work.gate.test.runner == "azure-ml"


def test_ended(state: State, run: str) -> Step:
    """Look now instead of at the next look, which stays as it is: the word of an event is no verdict."""
    if not isinstance(state, Testing) or not run or state.run != run or state.ended:
        return Decision(state)
    look = CheckImageTest(state.work.image, run, state.attempt, state.checks + 1)
    return Decision(dataclasses.replace(state, ended=True), (look,))
