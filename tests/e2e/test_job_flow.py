"""What becomes of runs, seen from outside: the workspace, the mailbox, the buttons in mails."""

from __future__ import annotations

import re
import uuid

from local import job_site, world
from local.site import send
from tests.e2e.conftest import Scene


def test_a_failed_run_becomes_one_mail_that_says_why(scene: Scene) -> None:
    name = f"litter-{uuid.uuid4().hex[:8]}"
    job_site.submit(
        scene.site,
        "vision",
        name,
        "echo 'reading labels'; echo \"KeyError: 'label'\" >&2; exit 1",
        experimentName=f"exp-{name}",
        displayName="Litter <b>classifier</b>",
    )
    mails = job_site.until(lambda: job_site.mails(scene.site, name), 50)
    assert mails, scene.site.cloud("GET", "/admin/jobs").json()
    [mail] = mails
    assert "its code failed" in mail["subject"]
    assert "KeyError: 'label'" in mail["text"]
    assert f"https://ml.azure.com/runs/{name}" in mail["text"]
    assert "<b>classifier</b>" not in mail["html"]


TRAINING = """
step=$(cat ${{outputs.work}}/step 2>/dev/null || echo 0)
echo "begins at step $step"
case $AZUREML_RUN_ID in *-attempt-%d*) pause=0 ;; *) pause=0.1 ;; esac
while [ $step -lt 200 ]; do step=$((step+1)); echo $step > ${{outputs.work}}/step; [ $pause = 0 ] || sleep $pause; done
echo done
"""
"""Takes 20 s, so that it runs when its node is taken away; the attempt whose number is filled in goes on without a pause."""


def _train(scene: Scene, name: str, evictions: int = 1, **properties: object) -> None:
    place = f"azureml://datastores/models/paths/{name}"
    outputs = {"work": {"jobOutputType": "uri_folder", "mode": "ReadWriteMount", "uri": place}}
    job_site.submit(
        scene.site,
        "vision",
        name,
        TRAINING % evictions,
        compute="gpu-spot",
        experimentName=f"exp-{name}",
        outputs=outputs,
        **properties,
    )


def test_an_evicted_run_goes_on_from_its_checkpoint(scene: Scene) -> None:
    name = f"train-{uuid.uuid4().hex[:8]}"
    _train(scene, name, tags={"team": "vision"})
    assert job_site.until(lambda: _is(scene, name, "Running"), 20)
    checkpoint = (
        scene.site.stack.state / "cloud" / "machine-learning" / "datastores" / "models" / "paths" / name / "step"
    )
    assert job_site.until(lambda: checkpoint.exists() and int(checkpoint.read_text() or 0) > 5, 20)
    job_site.evict(scene.site, "vision", name)
    successor = f"{name}-attempt-1"
    assert job_site.until(lambda: _is(scene, successor, "Completed"), 40), job_site.job(scene.site, "vision", successor)
    job = job_site.job(scene.site, "vision", successor)
    assert job is not None
    assert job["tags"] == {
        "team": "vision",
        "tidegate.attempt": "1",
        "tidegate.parent": name,
        "tidegate.root": name,
    }
    begun = re.match(r"begins at step (\d+)", job_site.log(scene.site, "vision", successor))
    assert begun, job_site.log(scene.site, "vision", successor)
    assert int(begun[1]) > 5
    assert job_site.mails(scene.site, name) == []


def test_a_run_evicted_again_goes_on_where_nobody_is_evicted(scene: Scene) -> None:
    name = f"train-{uuid.uuid4().hex[:8]}"
    _train(scene, name, evictions=2)
    for each in (name, f"{name}-attempt-1"):
        assert job_site.until(lambda each=each: _is(scene, each, "Running"), 30)  # type: ignore[misc]
        job_site.evict(scene.site, "vision", each)
    assert job_site.until(lambda: _is(scene, f"{name}-attempt-2", "Completed"), 40)
    job = job_site.job(scene.site, "vision", f"{name}-attempt-2")
    assert job is not None
    assert job["computeId"].endswith("/computes/gpu")


def test_a_pipeline_goes_on_with_the_step_that_was_evicted(scene: Scene) -> None:
    name = f"pipe-{uuid.uuid4().hex[:8]}"
    _submit_pipeline(scene, name, prepare="echo prepared", train=TRAINING % 1)
    assert job_site.until(lambda: _is(scene, f"{name}-train", "Running"), 20)
    job_site.evict(scene.site, "vision", f"{name}-train")
    successor = f"{name}-attempt-1"
    assert job_site.until(lambda: _is(scene, successor, "Completed"), 40), job_site.job(scene.site, "vision", successor)
    job, prepared = (job_site.job(scene.site, "vision", each) for each in (successor, f"{successor}-prepare"))
    assert job is not None
    assert prepared is not None
    assert (job["tags"]["tidegate.root"], prepared["properties"]) == (name, {"azureml.isreused": "true"})
    assert job_site.log(scene.site, "vision", f"{successor}-train").endswith("done\n")
    assert job_site.job(scene.site, "vision", f"{name}-train-attempt-1") is None, "a step is not submitted by itself"
    assert job_site.mails(scene.site, name) == []


def test_a_pipeline_goes_on_with_the_step_of_a_pipeline_within_it_that_was_evicted(scene: Scene) -> None:
    name = f"pipe-{uuid.uuid4().hex[:8]}"
    _submit_pipeline(scene, name, within="inner", train=TRAINING % 1)
    assert job_site.until(lambda: _is(scene, f"{name}-inner-train", "Running"), 20)
    job_site.evict(scene.site, "vision", f"{name}-inner-train")
    assert job_site.until(lambda: _is(scene, f"{name}-attempt-1", "Completed"), 40)
    assert job_site.mails(scene.site, name) == []


def test_the_mail_about_a_pipeline_shows_why_its_step_failed(scene: Scene) -> None:
    name = f"pipe-{uuid.uuid4().hex[:8]}"
    _submit_pipeline(scene, name, prepare="echo prepared", train="echo 'CUDA out of memory. Tried 2 GiB'; exit 1")
    step = f"train ({name}-train)"
    mails = job_site.until(lambda: [mail for mail in job_site.mails(scene.site, name) if step in mail["text"]], 30)
    assert mails, job_site.mails(scene.site, name)
    [mail] = mails
    assert f"exp-{name}: {name} failed, it ran out of memory" in mail["subject"]
    assert "  | CUDA out of memory. Tried 2 GiB" in mail["text"]


def test_the_next_success_of_the_experiment_is_a_mail_of_its_own(scene: Scene) -> None:
    name = f"flaky-{uuid.uuid4().hex[:8]}"
    job_site.submit(scene.site, "vision", name, "echo boom; exit 3", experimentName=name)
    assert job_site.until(lambda: job_site.mails(scene.site, name), 30)
    job_site.submit(scene.site, "vision", f"{name}-2", "true", experimentName=name)
    mails = job_site.until(lambda: found if len(found := job_site.mails(scene.site, name)) > 1 else None, 30)
    assert mails
    assert [mail["subject"].split(":")[0] for mail in mails][1:] == ["[Tidegate] Recovered"]
    assert mails[1]["to"] == "vision@team.example"


def test_known_noise_wakes_nobody_and_other_causes_go_elsewhere(scene: Scene) -> None:
    noise, quota = (f"{kind}-{uuid.uuid4().hex[:8]}" for kind in ("noise", "quota"))
    job_site.submit(scene.site, "vision", noise, "echo 'known noise of the nightly run'; exit 1", experimentName=noise)
    job_site.submit(scene.site, "vision", quota, "echo 'OutOfQuota: 6/6'; exit 1", experimentName=quota)
    mails = job_site.until(lambda: job_site.mails(scene.site, quota), 30)
    assert mails
    assert [mail["to"] for mail in mails] == ["platform@team.example"]
    assert job_site.mails(scene.site, noise) == []


def test_a_button_does_nothing_until_a_person_presses_it(scene: Scene) -> None:
    name = f"muted-{uuid.uuid4().hex[:8]}"
    job_site.submit(scene.site, "vision", name, "echo boom; exit 1", experimentName=name)
    mails = job_site.until(lambda: job_site.mails(scene.site, name), 30)
    assert mails
    links = dict(re.findall(r"^(.+): (http://127\.0\.0\.1:\S+)$", mails[0]["text"], re.MULTILINE))
    assert set(links) == {"See the log", "Submit it again", "Mute this for a day"}
    for _ in range(3):
        page = send("GET", links["Submit it again"], None, {})
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert send("HEAD", links["Submit it again"], None, {}).status in (200, 404, 405)
    assert job_site.job(scene.site, "vision", f"{name}-attempt-1") is None
    assert send("POST", links["Submit it again"].replace("signature=", "signature=0"), b"", {}).status == 400
    assert [send("POST", links["Submit it again"], b"", {}).status for _ in range(2)] == [200, 200]
    assert job_site.until(lambda: job_site.job(scene.site, "vision", f"{name}-attempt-1"), 20)


def test_a_rejected_image_becomes_a_mail_too(scene: Scene) -> None:
    repository = scene.repository("fixed")
    scene.push(repository, "v1", CODE=7)
    mails = job_site.until(lambda: job_site.mails(scene.site, repository), 40)
    assert mails
    assert mails[0]["subject"] == f"[Tidegate] {repository}:v1 was rejected and stays in staging"
    assert "exit status 7" in mails[0]["text"]
    assert mails[0]["to"] == "on-call@team.example"


def test_the_mail_says_whether_the_image_of_a_run_is_one_that_was_promoted(scene: Scene) -> None:
    repository = scene.repository("moving")
    image = scene.push(repository, "v1")
    assert scene.wait(repository, image.digest)["state"] == "Promoted"
    wanted = {}
    for registry, digest, words in (
        (world.HEALTHY, image.digest, "(in healthy)"),
        (world.STAGING, image.digest, "(not from the healthy registry)"),
        (world.HEALTHY, f"sha256:{'0' * 64}", "(NOT in healthy)"),
    ):
        name = f"image-{uuid.uuid4().hex[:8]}"
        address = f"{world.login_server(registry)}/{repository}@{digest}"
        environment = job_site.environment(scene.site, "vision", name, address)
        job_site.submit(scene.site, "vision", name, "exit 3", environment=environment, experimentName=name)
        wanted[name] = f"{address} {words}"
    for name, words in wanted.items():
        mails = job_site.until(lambda name=name: job_site.mails(scene.site, name), 60)  # type: ignore[misc]
        assert mails, f"no mail about {name}"
        assert words in mails[0]["text"]


def test_an_image_is_tested_by_a_job_on_its_cluster(scene: Scene) -> None:
    repository = scene.repository("cluster")
    good, bad = scene.push(repository, "good"), scene.push(repository, "bad", CODE=5)
    promotion = scene.wait(repository, good.digest)
    assert promotion["state"] == "Promoted"
    assert [row["what"] for row in promotion["history"]].count("ImageTestEnded") == 1
    rejected = scene.wait(repository, bad.digest)
    assert rejected["state"] == "Rejected"
    assert rejected["reason"] == "the command ended with exit status 5"
    jobs = scene.site.cloud("GET", "/admin/jobs").json()["jobs"]
    assert {each["workspace"] for each in jobs if each["name"].startswith("test-")} == {"vision"}
    failed_runs = [mail for mail in job_site.mails(scene.site, "tidegate-image-tests") if "failed" in mail["subject"]]
    assert failed_runs == []


def _submit_pipeline(scene: Scene, name: str, within: str = "", **commands: str) -> None:
    """A pipeline whose steps run one after the other on the spot compute, and keep what they do in one place.

    `within`: they are those of a step of this name that is a pipeline itself.
    """
    place = f"azureml://datastores/models/paths/{name}"
    spot = job_site.job_path("vision").replace("/jobs", "/computes/gpu-spot")
    environment = job_site.job_path("vision").replace("/jobs", "/environments/plain/versions/1")
    outputs = {"work": {"jobOutputType": "uri_folder", "mode": "ReadWriteMount", "uri": place}}
    common = {"type": "command", "computeId": spot, "environmentId": environment, "outputs": outputs}
    nodes = {step: {**common, "command": command} for step, command in commands.items()}
    if within:
        nodes = {within: {"type": "pipeline", "jobs": nodes}}
    properties = {"jobType": "Pipeline", "jobs": nodes, "displayName": name, "experimentName": f"exp-{name}"}
    job_site.submit(scene.site, "vision", name, "", **properties)


def _is(scene: Scene, name: str, status: str) -> bool:
    job = job_site.job(scene.site, "vision", name)
    return job is not None and job["status"] == status
