"""A real training job, TensorFlow and all, loses its node in the middle; its successor ends as if nothing had happened."""

from __future__ import annotations

import json

from local import job_site, training_drill
from local.job_cases import WORKSPACE
from tests.e2e.conftest import Scene


def test_an_evicted_training_job_ends_in_the_state_of_one_that_was_never_interrupted(scene: Scene) -> None:
    result = training_drill.drill(scene.site)
    evicted, resumed = result.evicted.last("evicted"), result.successor.last("resumed")
    assert evicted, result.evicted
    assert resumed, result.successor
    steps = result.undisturbed.steps
    assert steps == list(range(1, len(steps) + 1))
    assert 0 < evicted["step"] < len(steps), "it was not evicted in mid-training"
    assert (resumed["step"], resumed["exact"], result.lost) == (evicted["step"], "yes", 0)
    assert [*result.evicted.steps, *result.successor.steps] == steps, "a step was left out or done twice"
    assert result.same, (result.successor.last("done"), result.undisturbed.last("done"))

    exported = [
        json.loads((training_drill.workdir(scene.site, job) / "export" / "manifest.json").read_text())
        for job in (result.evicted.job, result.undisturbed.job)
    ]
    assert exported[0]["state"] == exported[1]["state"] == (result.successor.last("done") or {})["digest"]
    successor = job_site.job(scene.site, WORKSPACE, result.successor.job)
    assert successor is not None
    assert (successor["status"], successor["tags"]["tidegate.parent"]) == ("Completed", result.evicted.job)
    assert job_site.mails(scene.site, result.evicted.job) == [], "an eviction that was repaired wakes nobody"
