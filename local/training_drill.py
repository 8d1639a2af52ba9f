"""The eviction drill through the local Azure ML: a real training job loses its node, Tidegate submits it again, it goes on."""

from __future__ import annotations

import dataclasses
import json
import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from local import job_site
from local.job_cases import WORKSPACE, name
from local.site import Site

_ROOT = Path(__file__).parents[1]
TRAINER = _ROOT / ".tools" / "trainer" / "bin" / "python"
CONFIG = "QUICKTEST"
CHANGES = ("epochs=6", "save_every_steps=10", "log_every=1")
"""240 steps, one line each: long enough that a node can be taken away in the middle, seconds on one core."""
_EVICTED_FROM = 30
"""The node goes away once a checkpoint of this step or a later one is durable."""
_LIMIT_S = 150

type Told = tuple[Mapping[str, Any], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """One job of the run."""

    job: str
    told: Told
    """What its trainer wrote, one object a line."""

    def last(self, event: str) -> Mapping[str, Any] | None:
        """The last line of a kind; None: it wrote none."""
        return next((each for each in reversed(self.told) if each.get("event") == event), None)

    @property
    def steps(self) -> list[int]:
        """Steps that it did, in order."""
        return [int(each["step"]) for each in self.told if each.get("event") == "progress"]


@dataclasses.dataclass(frozen=True, slots=True)
class TrainingDrill:
    """The evicted job and its successor, beside a job of the same configuration that nothing happened to."""

    evicted: Attempt
    successor: Attempt
    undisturbed: Attempt
    eviction_s: float
    """From taking the node away to the end of the job."""
    resubmitted_s: float
    """From there to the successor being there."""

    @property
    def lost(self) -> int:
        """Steps that the eviction cost: done, and done again. 0 where the notice was used."""
        return max(self.evicted.steps, default=0) - int((self.successor.last("resumed") or {"step": 0})["step"])

    @property
    def same(self) -> bool:
        """Whether both runs ended in the same state: one SHA-256 over variables, slots, seeds and metrics."""
        ends = [each.last("done") for each in (self.successor, self.undisturbed)]
        return None not in ends and ends[0]["digest"] == ends[1]["digest"]  # type: ignore[index]  # neither is None here


def drill(site: Site) -> TrainingDrill:
    """About a minute, besides the policy's backoff. RuntimeError: a job stopped where it should not have, and where."""
    if not TRAINER.exists():
        raise RuntimeError(f"{TRAINER} is not there: make setup-trainer")
    job = name("drill")
    _submit(site, job, "gpu-spot")
    _await(
        lambda: _saved(site, job) >= _EVICTED_FROM or _ended(site, job),
        f"{job} has no checkpoint to go on from",
        site,
        job,
    )
    since = time.monotonic()
    job_site.evict(site, WORKSPACE, job)
    gone = time.monotonic()
    # Meanwhile the policy's backoff passes.
    undisturbed, successor = f"{job}-undisturbed", f"{job}-attempt-1"
    _submit(site, undisturbed, "gpu")
    _await(lambda: job_site.job(site, WORKSPACE, successor), f"{job} was not submitted again", site, job)
    begun = time.monotonic()
    for each in (undisturbed, successor):
        _await(lambda each=each: _ended(site, each), f"{each} has not ended", site, each)
    evicted, resumed, never = (Attempt(each, tuple(_told(site, each))) for each in (job, successor, undisturbed))
    return TrainingDrill(evicted, resumed, never, eviction_s=gone - since, resubmitted_s=begun - gone)


def _submit(site: Site, job: str, compute: str) -> None:
    """As trainer/jobs/train.yml: the work directory is a fixed path of a datastore, so that the next attempt finds it."""
    changes = " ".join(f"--set {each}" for each in CHANGES)
    command = (
        f"cd {shlex.quote(str(_ROOT))} && exec {shlex.quote(str(TRAINER))} -m trainer --config {CONFIG} {changes}"
        " --workdir ${{outputs.workdir}}"
    )
    place = f"azureml://datastores/models/paths/{job}"
    outputs = {"workdir": {"jobOutputType": "uri_folder", "mode": "ReadWriteMount", "uri": place}}
    variables = {
        "TRAINER_METADATA_URL": "off"
    }  # a node of this stand-in has no metadata service; its notice is SIGTERM
    job_site.submit(
        site,
        WORKSPACE,
        job,
        command,
        compute=compute,
        experimentName=f"training-{job}",
        outputs=outputs,
        environmentVariables=variables,
    )


def workdir(site: Site, job: str) -> Path:
    """Where the stand-in keeps the datastore's folder of a job."""
    return site.stack.state / "cloud" / "machine-learning" / "datastores" / "models" / "paths" / job


def _saved(site: Site, job: str) -> int:
    """The step of the newest checkpoint, as its file's name says."""
    files = (workdir(site, job) / "checkpoints").glob("*-step-*.json")
    return max((int(each.name.split("-")[2]) for each in files), default=0)


def _ended(site: Site, job: str) -> bool:
    found = job_site.job(site, WORKSPACE, job)
    return found is not None and found["status"] in {"Completed", "Failed", "Canceled"}


def _await(look: Any, fault: str, site: Site, job: str) -> None:
    if not job_site.until(look, _LIMIT_S):
        said = job_site.log(site, WORKSPACE, job)[-1000:]
        raise RuntimeError(f"job {fault} after {_LIMIT_S} s; its log: {said or 'none yet'}")


def _told(site: Site, job: str) -> Iterator[Mapping[str, Any]]:
    """Lines that are no JSON object are not the trainer's own."""
    for line in job_site.log(site, WORKSPACE, job).splitlines():
        if line.startswith("{"):
            yield json.loads(line)
