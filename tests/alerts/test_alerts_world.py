"""What becomes of failures, end to end over the fakes: one mail each incident, nothing lost, nothing said twice."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.alerts.world import POLICY, JobWorld
from tests.fakes.faults import Fault
from tidegate.api.dead_letters import DeadLetters
from tidegate.errors import Refused
from tidegate.flows.alerts.alert_policy import Route
from tidegate.flows.jobs import job_failure
from tidegate.flows.jobs.job_facts import FailedStep, JobFacts
from tidegate.references import JobRef

LOG = "reading labels\nKeyError: 'label'\n"
EVICTED: dict[str, Any] = {
    "error_code": "UserError/JobPreempted",
    "error": "The job was preempted",
    "compute": "gpu-spot",
}


def test_a_failed_run_is_one_mail_and_its_duplicate_none() -> None:
    world = JobWorld()
    facts = world.run_ends("r1", log=LOG, studio="https://ml.azure.com/runs/r1")
    for _ in range(3):
        world.intake.run_status_changed(world.event(facts))
    world.work()
    [mail] = world.email.mails
    assert mail.subject == "[Tidegate] exp: r1 failed, its code failed"
    assert "KeyError: 'label'" in mail.text
    assert "https://ml.azure.com/runs/r1" in mail.text
    assert mail.to == ("team@team.example",)


@pytest.mark.parametrize("status", ["Running", "Queued", "Finalizing", "Failed"])
def test_a_late_event_changes_nothing(status: str) -> None:
    world = JobWorld()
    facts = world.run_ends("r1", log=LOG)
    world.work()
    saves = world.store.called("save")
    world.intake.run_status_changed(world.event(facts, status))
    world.work()
    assert (len(world.email.mails), world.store.called("save")) == (1, saves)


def test_a_run_that_only_its_event_calls_failed_is_no_alert() -> None:
    world = JobWorld()
    facts = world.run_ends("r1", "completed", event=False)
    world.intake.run_status_changed(world.event(facts, "Failed"))
    world.intake.run_status_changed(world.event(dataclasses.replace(facts, job=JobRef("vision", "ghost")), "Failed"))
    world.work()
    assert world.email.mails == []


def test_a_run_whose_page_lags_behind_for_long_is_told_of_in_the_end() -> None:
    world = JobWorld()
    facts = world.run_ends("r1", "finalizing", event=False)
    world.intake.run_status_changed(world.event(facts, "Failed"))
    world.intake.run_status_changed(world.event(dataclasses.replace(facts, job=JobRef("vision", "r2")), "Failed"))
    world.work()
    assert world.email.mails == []
    for name in ("r1", "r2"):
        world.run_ends(name, log=LOG, event=False)
    world.intake.reconcile()
    world.work()
    [mail] = world.email.mails
    assert "All of it: r2, r1" in mail.text


def test_a_run_that_may_not_be_read_is_an_alert_that_says_so() -> None:
    refused = True
    world = JobWorld(
        fault=lambda port, method: Fault.PERMANENT if refused and (port, method) == ("Jobs", "describe") else Fault.OK
    )
    world.run_ends("r1", log=LOG)
    world.work()
    [mail] = world.email.mails
    assert mail.subject == "[Tidegate] exp: r1 failed, the cause is not known"
    assert "Why:  it could not be read: " in mail.text
    assert "by its role on the workspace" in mail.text
    assert "Submit it again" not in mail.text


@pytest.mark.parametrize("fault", [Fault.PERMANENT, Fault.TRANSIENT])
def test_no_alert_waits_for_a_registry_that_does_not_answer(fault: Fault) -> None:
    world = JobWorld(fault=lambda port, method: fault if (port, method) == ("ImageRegistry", "exists") else Fault.OK)
    image = f"tidegatehealthy.azurecr.io/training/litter@sha256:{'0' * 64}"
    world.run_ends("r1", log=LOG, image=image)
    world.work(world.later(60))
    [mail] = world.email.mails
    assert f"Image       {image}\n" in mail.text


def test_a_log_is_kept_and_shown_as_a_terminal_would_have_left_it() -> None:
    bar = "".join(f"\r{percent:3}%|{'#' * 60}| loss \x1b[32m0.3\x1b[0m" for percent in range(101))
    world = JobWorld()
    world.run_ends("r1", log=f"\x1b[2J\x00start\r\n{bar}\n\x1b[1;31mKeyError\x1b[0m: 'label'\n")
    world.work()
    [mail] = world.email.mails
    assert "Why:  KeyError: 'label'\n" in mail.text
    assert mail.text.count("100%|") == 1
    assert " 99%|" not in mail.text
    assert "[32m" not in mail.text + mail.html
    assert world.evidence.blobs["runs/vision/run-r1.log"][0].startswith(b"\x00start\n100%|")


def test_a_cause_is_found_sixty_lines_up_however_long_they_are() -> None:
    world = JobWorld()
    world.run_ends("r1", log="CUDA out of memory\n" + f"  {'frame ' * 60}\n" * 55)
    world.work()
    [mail] = world.email.mails
    assert mail.subject.endswith("it ran out of memory")
    assert max(len(row.body) for row in world.store.rows.values()) < 20_000


def test_no_secret_of_an_error_or_a_log_is_stored() -> None:
    world = JobWorld()
    secret = "cannot open https://x.blob.core.windows.net/a?sv=1&sig=canary-7Q2%3D"
    world.run_ends("r1", error=secret, log=secret, steps=steps(secret, secret))
    world.run_ends("r2", **{**EVICTED, "error": f"The job was preempted; {secret}"})
    world.work()
    stored = (
        "".join(row.body for row in world.store.rows.values()) + repr(world.evidence.blobs) + repr(world.store.audit)
    )
    assert "canary" not in stored.replace("canary=", "")
    assert "7Q2" not in repr(world.email.mails) + repr(world.topic.published)


def test_a_canceled_run_is_an_alert_only_if_the_gate_says_so() -> None:
    for canceled, mails in ((False, 0), (True, 1)):
        world = JobWorld(dataclasses.replace(POLICY, canceled=canceled))
        world.run_ends("r1", "canceled")
        world.work()
        assert (len(world.email.mails), world.jobs.called("describe")) == (mails, mails)


def test_forty_failing_steps_of_a_pipeline_are_one_mail_that_names_them_all() -> None:
    world = JobWorld()
    for number in range(40):
        world.run_ends(f"step-{number}", log=LOG, parent="pipeline")
    world.work()
    [mail] = world.email.mails
    assert mail.subject.endswith("(40 times)")
    assert all(f"step-{number}" in mail.text for number in range(40))


def test_the_same_experiment_within_the_window_is_the_same_incident() -> None:
    world = JobWorld()
    world.run_ends("r1", log=LOG)
    world.work(world.later(3600))
    world.run_ends("r2", log=LOG)
    world.run_ends("r3", log=LOG)
    world.work()
    _, again = world.email.mails
    assert again.subject.startswith("[Tidegate] Again:")
    assert "3 times" in again.text
    assert "r2" in again.text
    assert "r3" in again.text
    assert "r1" not in again.text.split("All of it")[1].splitlines()[0]


def test_the_next_success_ends_the_incident_with_a_mail() -> None:
    world = JobWorld()
    world.run_ends("r1", log=LOG)
    world.work(world.later(60))
    world.clock.advance(60)
    world.run_ends("r2", "completed")
    world.run_ends("r3", "completed")
    world.work()
    assert [mail.severity for mail in world.email.mails] == ["error", "info"]
    assert "Recovered" in world.email.mails[1].subject
    buttons = [("Submit it again" in mail.text, "Mute this" in mail.text) for mail in world.email.mails]
    assert buttons == [(True, True), (False, False)]


MEMORY_ROUTE = Route("memory", ("m@team.example",), causes=("memory",))


def test_two_causes_that_concern_different_people_are_told_to_each_of_them() -> None:
    world = JobWorld(dataclasses.replace(POLICY, routes=(MEMORY_ROUTE, *POLICY.routes)))
    for number in range(20):
        world.run_ends(f"r{number}", log="CUDA out of memory" if number % 2 else LOG)
        world.work(world.later(10))
    world.work(world.later(60))
    team, memory = sorted(world.email.mails, key=lambda mail: mail.to, reverse=True)
    assert (team.to, memory.to) == (("team@team.example",), ("m@team.example",))
    assert "r0, r2" in team.text
    assert "r1, r3" in memory.text
    assert "r1," not in team.text
    assert "r2," not in memory.text
    world.run_ends("r20", "completed")
    world.work(world.later(60))
    assert {mail.to: mail.severity for mail in world.email.mails} == {team.to: "info", memory.to: "info"}


def test_a_success_older_than_the_failure_recovers_nothing() -> None:
    world = JobWorld()
    before = world.clock.now()
    world.clock.advance(600)
    world.run_ends("r2", log=LOG)
    world.work(world.later(60))
    old = world.run_ends("r1", "completed", event=False)
    world.intake.run_status_changed(world.event(old, at=before))
    world.work()
    assert len(world.email.mails) == 1


def test_an_evicted_run_goes_on_and_nobody_is_woken() -> None:
    world = JobWorld()
    world.run_ends("r1", **EVICTED)
    world.work()
    assert [str(job) for job in world.jobs.submitted] == ["vision/r1-attempt-1"]
    assert dict(world.jobs.runs[JobRef("vision", "r1-attempt-1")].tags) == {
        "tidegate.attempt": "1",
        "tidegate.parent": "r1",
        "tidegate.root": "r1",
    }
    assert world.email.mails == []


def test_evictions_are_bounded_then_dedicated_then_an_alert() -> None:
    rules = dataclasses.replace(POLICY.resubmit, attempts=2, backoff=60, dedicated=(("gpu-spot", "gpu"),))
    world = JobWorld(dataclasses.replace(POLICY, resubmit=rules))
    name, waits = "r1", list[float]()
    world.jobs.add(JobFacts(JobRef("vision", name), "running", "exp", can_resubmit=True, compute="gpu-spot"))
    for _ in range(5):
        before = world.clock.now()
        world.run_ends(name, error="The job was preempted")
        world.work()
        if len(world.jobs.submitted) == len(waits):
            break
        waits.append((world.clock.now() - before).total_seconds())
        name = world.jobs.submitted[-1].run
    assert [job.run for job in world.jobs.submitted] == ["r1-attempt-1", "r1-attempt-2", "r1-attempt-3"]
    assert world.jobs.runs[world.jobs.submitted[-1]].compute == "gpu"
    assert waits == [60, 120, 240]
    [mail] = world.email.mails
    assert "attempt 3 of r1" in mail.text


def steps(*errors: str, compute: str = "gpu-spot") -> tuple[FailedStep, ...]:
    return tuple(FailedStep(f"p1-{n}", f"step {n}", compute, "", error) for n, error in enumerate(errors))


PREEMPTED = "The job was preempted"


def test_a_pipeline_whose_steps_were_evicted_goes_on_once_and_nobody_is_woken() -> None:
    world = JobWorld()
    world.run_ends("p1-0", error=PREEMPTED, can_resubmit=False, parent="p1")
    world.run_ends("p1-1", error=PREEMPTED, can_resubmit=False, parent="p1")
    world.run_ends("p1", error="Pipeline has failed child jobs.", steps=steps(PREEMPTED, PREEMPTED))
    world.work()
    assert [str(job) for job in world.jobs.submitted] == ["vision/p1-attempt-1"]
    assert dict(world.jobs.runs[world.jobs.submitted[0]].tags)["tidegate.root"] == "p1"
    assert world.email.mails == []


@pytest.mark.parametrize(
    ("errors", "log", "words"),
    [
        ((PREEMPTED, "KeyError: 'label'"), "", "KeyError"),
        (("something else", PREEMPTED), "", "unknown"),
        ((PREEMPTED, "something else"), "the first step's: Spot VM was evicted", "unknown"),
        (("KeyError: 'label'",), "", "KeyError"),
    ],
)
def test_a_pipeline_with_a_step_that_failed_by_itself_is_an_alert(
    errors: tuple[str, ...], log: str, words: str
) -> None:
    world = JobWorld()
    world.run_ends("p1", error="Pipeline has failed child jobs.", log=log, steps=steps(*errors))
    world.work()
    assert world.jobs.submitted == []
    [mail] = world.email.mails
    assert words in mail.text


def test_a_pipeline_and_its_step_fail_for_one_reason_and_are_one_mail() -> None:
    routes = (Route("memory", ("m@team.example",), causes=("memory",)), *POLICY.routes)
    world = JobWorld(dataclasses.replace(POLICY, routes=routes))
    error, log = "User process exited with status code 1", "torch.cuda.OutOfMemoryError: CUDA out of memory."
    world.run_ends("p1-0", error=error, log=log, can_resubmit=False, parent="p1")
    world.run_ends("p1", error="Pipeline has failed child jobs.", log=log, steps=steps(f"UserError: {error}"))
    world.work()
    [mail] = world.email.mails
    assert mail.to == ("m@team.example",)
    assert "All of it: p1-0, p1" in mail.text
    assert f"Why:  {log}" in mail.text


@pytest.mark.parametrize(("others", "mails"), [((), 0), (("KeyError: 'label'",), 1)])
def test_known_noise_of_a_step_is_that_of_its_pipeline_only_if_no_other_step_failed(
    others: tuple[str, ...], mails: int
) -> None:
    world = JobWorld(dataclasses.replace(POLICY, ignore=("known noise",)))
    failed = steps("UserError: exited with status code 1", *others)
    world.run_ends("p1", error="Pipeline has failed child jobs.", log="known noise", steps=failed)
    world.work()
    assert len(world.email.mails) == mails


def test_a_pipeline_goes_to_the_dedicated_computes_of_its_evicted_steps() -> None:
    rules = dataclasses.replace(POLICY.resubmit, attempts=0, dedicated=(("gpu-spot", "gpu"), ("cpu-spot", "cpu")))
    world = JobWorld(dataclasses.replace(POLICY, resubmit=rules))
    both = (*steps(PREEMPTED), *steps(PREEMPTED, compute="cpu-spot"))
    world.run_ends("p1", error="Pipeline has failed child jobs.", steps=both)
    world.run_ends("p2", error="Pipeline has failed child jobs.", steps=(*both, *steps(PREEMPTED, compute="other")))
    world.work()
    [successor] = world.jobs.submitted
    assert (successor.run, world.jobs.moved[successor]) == ("p1-attempt-1", (("gpu-spot", "gpu"), ("cpu-spot", "cpu")))
    [mail] = world.email.mails
    assert "p2" in mail.text


def test_a_pipeline_whose_computes_cannot_be_changed_is_not_submitted_again_for_ever() -> None:
    """A component that names its own computes runs there, whatever the copy of the pipeline says."""
    rules = dataclasses.replace(POLICY.resubmit, attempts=1, dedicated=(("gpu-spot", "gpu"),))
    world = JobWorld(dataclasses.replace(POLICY, resubmit=rules))
    for name in ("p1", "p1-attempt-1", "p1-attempt-2"):
        world.run_ends(name, error="Pipeline has failed child jobs.", steps=steps(PREEMPTED))
        world.work()
    assert [job.run for job in world.jobs.submitted] == ["p1-attempt-1", "p1-attempt-2"]
    [mail] = world.email.mails
    assert "attempt 2 of p1" in mail.text


def test_an_evicted_job_of_another_kind_is_an_alert_that_says_why_it_is_not_submitted_again() -> None:
    world = JobWorld()
    world.run_ends("sweep-1", **{**EVICTED, "can_resubmit": False})
    world.work()
    assert world.jobs.submitted == []
    [mail] = world.email.mails
    assert "only commands and pipelines are" in mail.text
    assert "All resubmissions are used up" not in mail.text


def test_an_error_of_the_user_is_never_retried() -> None:
    world = JobWorld()
    world.run_ends("r1", log="resumed at step 10\n" + LOG, error_code="UserError", error="exited with code 1")
    world.work()
    assert world.jobs.submitted == []
    assert len(world.email.mails) == 1


def test_known_noise_wakes_nobody() -> None:
    world = JobWorld(dataclasses.replace(POLICY, ignore=("nightly * warm-up",)))
    world.run_ends("r1", log="the nightly cache warm-up timed out")
    world.work()
    assert world.email.mails == []


def test_a_failure_that_the_timer_finds_is_told_with_its_own_time_and_ended_by_the_success_after_it() -> None:
    world = JobWorld()
    began = world.clock.now()
    world.clock.advance(7200)
    world.run_ends("r2", "completed", event=False)
    world.clock.advance(7200)
    world.run_ends("r1", log=LOG, event=False, started=began, seconds=3600)
    for _ in range(2):
        world.intake.reconcile()
        world.work()
    failed, recovered = world.email.mails
    assert "At 2026-03-02 09:00 UTC." in failed.text
    assert "Recovered" in recovered.subject


def test_what_no_event_told_is_found_by_the_timer() -> None:
    world = JobWorld()
    world.run_ends("r1", log=LOG, event=False)
    world.intake.reconcile()
    world.intake.reconcile()
    world.work()
    assert len(world.email.mails) == 1
    world.clock.advance(60)
    world.run_ends("r2", "completed", event=False)
    world.intake.reconcile()
    world.work()
    assert "Recovered" in world.email.mails[1].subject


def test_a_storm_of_different_failures_stays_within_the_rate_and_names_every_run() -> None:
    world = JobWorld()
    total = 600
    for number in range(total):
        world.run_ends(f"r{number}", experiment=f"exp-{number}", log="KeyError: 1")
    world.work()
    _bounded(world)
    _complete(world, total)
    assert len(world.email.mails) < 25


def test_a_storm_in_one_experiment_stays_small_in_memory_and_names_every_run() -> None:
    """Through storage and queue; test_storms has the flows alone, and ten thousand failures."""
    world = JobWorld()
    total = 2_000
    for number in range(total):
        world.run_ends(f"r{number}", log="KeyError: 1")
        if number % 500 == 499:
            world.work(world.clock.now())
            world.clock.advance(1)
    world.work()
    largest = max(len(row.body) for key, row in world.store.rows.items() if not key.startswith("job-failure"))
    assert largest < 100_000
    _bounded(world)
    _complete(world, total)


def _bounded(world: JobWorld) -> None:
    policy = world.policy
    for place, (at, _) in enumerate(world.email.sent):
        within = [each for each, _ in world.email.sent[place:] if (each - at).total_seconds() < policy.within]
        assert len(within) <= policy.mails, "more mails than the rate allows"


def _complete(world: JobWorld, total: int) -> None:
    words = {word.strip(",") for mail in world.email.mails for word in mail.text.split()}
    missing = {f"r{number}" for number in range(total)} - words
    assert not missing, f"{len(missing)} runs are in no mail, for example {sorted(missing)[:3]}"


def test_a_workflow_that_is_down_for_an_hour_loses_nothing_and_repeats_nothing() -> None:
    world = JobWorld()
    world.email.down_until = world.later(3600)
    for number in range(30):
        world.run_ends(f"r{number}", experiment=f"exp-{number}", log=LOG)
        world.work(world.later(100))
    world.work()
    _complete(world, 30)
    _bounded(world)
    assert len({mail.id for mail in world.email.mails}) == len(world.email.mails)
    named = [f" r{number}" for number in range(30)]
    assert all(sum(name in f"{mail.text} ".replace(",", " ") for mail in world.email.mails) >= 1 for name in named)


def test_a_workflow_that_refuses_is_told_by_other_ways_and_holds_nothing_up(caplog: pytest.LogCaptureFixture) -> None:
    world = JobWorld(
        fault=lambda port, method: Fault.PERMANENT if (port, method) == ("AlertEmail", "send") else Fault.OK
    )
    world.run_ends("r1", log=LOG)
    world.work()
    assert [outcome.type for outcome in world.topic.published] == ["Tidegate.AlertUndelivered"]
    assert [line.levelname for line in caplog.records if "undelivered" in line.message] == ["ERROR"]
    assert isinstance(world.runner.records.load(job_failure.key(JobRef("vision", "r1")))[0].state, job_failure.Alerted)


def test_a_mail_that_nobody_took_is_a_dead_letter_that_can_be_let_out_again() -> None:
    broken = True

    def fault(port: str, method: str) -> Fault:
        return Fault.PERMANENT if broken and port == "AlertEmail" else Fault.OK

    world = JobWorld(fault=fault)
    world.run_ends("r1", log=LOG)
    world.work()
    [letter] = world.evidence.dead_letters.values()
    assert "a mail that nobody took" in letter.reason
    letters = DeadLetters(world.evidence, world.queue, world.intake, world.runner.carry_out)
    with pytest.raises(Refused):
        letters.replay(letter.id)
    assert world.evidence.dead_letters, "forgotten although nobody took it"
    broken = False
    letters.replay(letter.id)
    assert [mail.subject for mail in world.email.mails] == ["[Tidegate] exp: r1 failed, its code failed"]
    assert world.evidence.dead_letters == {}


def test_a_parked_event_is_an_alert_whose_subject_says_what_was_wrong_with_it() -> None:
    world = JobWorld()
    world.intake.run_status_changed({"type": "Microsoft.MachineLearningServices.RunStatusChanged", "data": {}})
    world.work()
    [mail] = world.email.mails
    assert mail.subject.startswith("[Tidegate] An event could not be taken: topic: must be the resource id")
    assert mail.severity == "warning"
