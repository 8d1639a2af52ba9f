"""Runs of ACR Tasks, driven by Azure's own client: what they end with, and what their logs say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from aiohttp import web
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from local import world
from local.cloud.arm import ArmCall
from local.cloud.core import Cloud, Options
from local.cloud.registry_tasks import AGENTS, RegistryTasks
from local.container_owner import OWNER_LABEL, this_process
from local.containers import INSTALL, Engine, find_engine
from local.images import find_manifest, push, push_blob_image, push_index
from tests.tasks.conftest import Pushed, serving
from tests.tasks.tasks import SANDBOX, UNITTEST, Tasks

ABSENT = f"$Registry/tests/passes@sha256:{'0' * 64}"


def containers(engine: Engine) -> list[str]:
    """What this process's stand-ins have of containers now; another stack on this machine may have its own."""
    return engine.run("ps", "--all", "--quiet", f"--filter=label={OWNER_LABEL}={this_process()}").split()


def test_an_image_whose_tests_pass_succeeds(tasks: Tasks, images: Pushed) -> None:
    run = tasks.run(f"docker run {SANDBOX} {images.passes} {UNITTEST}")
    log = tasks.log(run)
    assert (run.status, run.error) == ("Succeeded", None), log
    assert "Ran 11 tests" in log
    assert f"Run ID: {run.name} was successful after" in log


def test_an_image_whose_tests_fail_fails_with_the_assertion_in_the_log(tasks: Tasks, images: Pushed) -> None:
    run = tasks.run(f"docker run {SANDBOX} {images.fails} {UNITTEST}")
    log = tasks.log(run)
    assert run.status == "Failed"
    assert run.error == "failed during run, err: exit status 1"
    assert "AssertionError: 'plastic' != 'other'" in log
    assert "failed to run step ID: acb_step_0: exit status 1\n" in log


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("docker run --rm {passes} no-such-command", 127, "no-such-command"),
        ("docker run --rm {passes} /etc/passwd", 126, "permission denied"),
        ("docker run --rm {absent} true", 125, "manifest unknown"),
        ("docker run --rm $Registry/Not/A/Name true", 125, "invalid reference format"),
        ("docker run --rm docker.io/library/debian true", 125, "pulls only from tidegatestaging.azurecr.io"),
        ("docker run --rm --privileged {passes} true", 125, "does not allow 'docker run --privileged'"),
        ("docker run -v /:/host {passes} true", 125, "does not allow 'docker run -v'"),
        ("docker run --network host {passes} true", 125, "allows --network none only"),
        ("docker ps", 125, "runs only 'docker run' steps"),
        ("{passes} true", 125, "runs only 'docker run' steps"),
        ("docker run --rm --entrypoint sh {passes} -c 'exit 42'", 42, "exit status 42"),
    ],
)
def test_the_log_has_the_exit_status_of_docker(
    tasks: Tasks, images: Pushed, command: str, status: int, said: str
) -> None:
    run = tasks.run(command.format(passes=images.passes, absent=ABSENT))
    log = tasks.log(run)
    assert run.status == "Failed"
    assert run.error == "failed during run, err: exit status 1", "Azure's never says the step's"
    assert f"failed to run step ID: acb_step_0: exit status {status}\n" in log
    assert said in log


def test_a_scheduled_run_is_queued_and_its_record_is_provisioned(tasks: Tasks, images: Pushed) -> None:
    run = tasks.schedule(f"docker run {images.passes} true")
    assert (run.status, run.provisioning_state) == ("Queued", "Succeeded")
    assert run.id == f"{world.registry_id(world.STAGING)}/runs/{run.name}"
    assert tasks.ended(run).provisioning_state == "Succeeded"


def test_a_step_whose_time_is_up_is_killed_and_the_run_fails(tasks: Tasks, images: Pushed, engine: Engine) -> None:
    text = f"version: v1.1.0\nsteps:\n  - id: slow\n    cmd: docker run {images.hostile} stubborn\n    timeout: 2\n"
    run = tasks.ended(tasks.schedule_text(text))
    assert run.status == "Failed"
    assert "failed to run step ID: slow: context deadline exceeded\n" in tasks.log(run)
    assert containers(engine) == []


def test_a_run_whose_time_is_up_is_killed_and_times_out(tasks: Tasks, images: Pushed, engine: Engine) -> None:
    started = time.monotonic()
    run = tasks.run(f"docker run {images.hostile} stubborn", timeout=2)
    assert run.status == "Timeout"
    assert run.error == "failed during run, err: context deadline exceeded"
    assert time.monotonic() - started < 8
    assert containers(engine) == []


def test_a_cancelled_run_leaves_no_container(tasks: Tasks, images: Pushed, engine: Engine) -> None:
    run = tasks.schedule(f"docker run {images.hostile} stubborn")
    wait_for(lambda: "staying" in tasks.log(tasks.until(run, frozenset({"Running"}))))
    tasks.cancel(run)
    assert tasks.get(run).status == "Canceled"
    assert containers(engine) == []
    assert f"Run ID: {run.name} was canceled" in tasks.log(run)


def test_cancelling_a_run_that_ended_changes_nothing(tasks: Tasks, images: Pushed) -> None:
    run = tasks.run(f"docker run {images.passes} true")
    tasks.cancel(run)
    assert tasks.get(run).status == "Succeeded"


def test_steps_run_in_order_and_stop_at_the_first_failure(tasks: Tasks, images: Pushed) -> None:
    step = f"docker run --entrypoint sh {images.passes} -c"
    run = tasks.run(f'{step} "echo first"', f'{step} "echo second; exit 3"', f'{step} "echo third"')
    log = tasks.log(run)
    assert log.index("first\n") < log.index("second\n")
    assert "third" not in log
    assert "failed to run step ID: acb_step_1: exit status 3\n" in log


def test_variables_of_the_run_reach_the_command(tasks: Tasks, images: Pushed) -> None:
    run = tasks.run(f"docker run {images.passes} echo [$ID] [{{{{.Run.ID}}}}] [{{{{.Run.Registry}}}}]")
    assert f"[{run.name}] [{run.name}] [tidegatestaging.azurecr.io]\n" in tasks.log(run)


def test_a_task_that_is_no_task_fails_and_says_why(tasks: Tasks) -> None:
    run = tasks.ended(tasks.schedule_text("version: v1.1.0\nsecrets:\n  - id: a\nsteps: []\n"))
    assert run.status == "Failed"
    assert "does not do 'secrets'" in tasks.log(run)


def test_runs_are_listed_newest_first(tasks: Tasks, images: Pushed) -> None:
    last = tasks.run(f"docker run {images.passes} true")
    runs = list(tasks.client.runs.list(world.RESOURCE_GROUP, world.STAGING))
    numbers = [int((run.name or "")[2:]) for run in runs]
    assert runs[0].name == last.name
    assert numbers == sorted(numbers, reverse=True)


def test_an_unknown_run_and_an_unknown_registry_are_not_found(tasks: Tasks) -> None:
    with pytest.raises(ResourceNotFoundError, match="ca999999"):
        tasks.client.runs.get(world.RESOURCE_GROUP, world.STAGING, "ca999999")
    with pytest.raises(ResourceNotFoundError, match="elsewhere"):
        tasks.client.runs.get(world.RESOURCE_GROUP, "elsewhere", "ca1")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "DockerBuildRequest"}, "not implemented by the stand-in"),
        ({"type": "Nonsense"}, "no type of run"),
        ({"encodedTaskContent": "%%%"}, "base64"),
        ({"timeout": 0}, "timeout"),
        ({"platform": {"os": "Windows"}}, "runs Linux"),
        ({"agentPoolName": "pool"}, "agentPoolName"),
        ({"isArchiveEnabled": True}, "isArchiveEnabled"),
        ({"agentConfiguration": {"cpu": 0}}, "agentConfiguration.cpu"),
        ({"values": [{"name": "a", "value": "b", "isSecret": True}]}, "secret"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_request_that_the_stand_in_does_not_do_is_refused(tasks: Tasks, change: dict[str, object], said: str) -> None:
    body = {"type": "EncodedTaskRunRequest", "encodedTaskContent": "", "platform": {"os": "Linux"}, **change}
    with pytest.raises(HttpResponseError, match=said) as refusal:
        tasks.client.registries.schedule_run(world.RESOURCE_GROUP, world.STAGING, body)
    assert refusal.value.status_code == 400


def test_a_restart_keeps_run_ids_and_ends_what_was_running(
    cloud_options: Options, engine: Engine, images: Pushed, tmp_path: Path
) -> None:
    own = Options(registries=cloud_options.registries, state=tmp_path, storage=cloud_options.storage)
    with serving(own, lambda: engine) as before:
        done = before.run(f"docker run {images.passes} true")
        running = before.schedule(f"docker run {images.hostile} stubborn")
        before.until(running, frozenset({"Running"}))
    assert containers(engine) == []
    with serving(own, lambda: engine) as after:
        assert after.get(done).status == "Succeeded"
        assert after.get(running).status == "Error"
        assert after.schedule(f"docker run {images.passes} true").name == "ca3"


def wait_for(condition: Callable[[], bool], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not true after {within_s} s"
        time.sleep(0.05)


def test_runs_wait_for_a_free_agent_and_share_an_image(tasks: Tasks, images: Pushed) -> None:
    held = [tasks.schedule(f"docker run {images.hostile} stubborn") for _ in range(AGENTS)]
    for run in held:
        tasks.until(run, frozenset({"Running"}))
    waiting = tasks.schedule(f"docker run --entrypoint true {images.hostile}")
    assert tasks.get(waiting).status == "Queued"
    tasks.cancel(held[0])
    assert tasks.ended(waiting).status == "Succeeded", "the image was taken away while another run used it"
    assert tasks.get(held[1]).status == "Running"
    tasks.cancel(held[1])


def test_a_queued_run_can_be_cancelled(tasks: Tasks, images: Pushed) -> None:
    held = [tasks.schedule(f"docker run {images.hostile} stubborn") for _ in range(AGENTS)]
    waiting = tasks.schedule(f"docker run {images.passes} true")
    tasks.cancel(waiting)
    assert tasks.get(waiting).status == "Canceled"
    for run in held:
        tasks.cancel(run)
    assert {tasks.get(run).status for run in held} == {"Canceled"}


def test_an_image_is_pulled_anew_so_one_that_was_deleted_cannot_run(
    tasks: Tasks, images: Pushed, engine: Engine, registry_port: int
) -> None:
    digest = push("localhost/tidegate-demo:passes-1", registry_port, "tests/deleted", "1", engine=engine)
    image = f"$Registry/tests/deleted@{digest}"
    assert tasks.run(f"docker run {image} true").status == "Succeeded"
    delete_manifest(f"http://127.0.0.1:{registry_port}", "tests/deleted", digest)
    run = tasks.run(f"docker run {image} true")
    assert (run.status, "manifest unknown" in tasks.log(run)) == ("Failed", True)


def test_an_index_runs_the_image_of_the_agents_platform(
    tasks: Tasks, images: Pushed, registry_port: int, engine: Engine
) -> None:
    url = f"http://127.0.0.1:{registry_port}"
    amd = find_manifest(url, "tests/passes", "1")
    assert amd is not None
    arm = push_blob_image(url, "tests/passes", None, layers=[b"not a layer"])
    index = push_index(url, "tests/passes", "both", {"linux/arm64": arm, "linux/amd64": amd})
    run = tasks.run(f"docker run --platform linux/amd64 $Registry/tests/passes@{index.digest} {UNITTEST}")
    assert run.status == "Succeeded", tasks.log(run)


def test_without_an_engine_a_run_errs_and_says_what_to_install(cloud_options: Options, tmp_path: Path) -> None:
    own = Options(registries=cloud_options.registries, state=tmp_path, storage=cloud_options.storage)

    def none() -> Engine:
        return find_engine({}, lambda _name: None)

    with serving(own, none) as tasks:
        run = tasks.run("docker run $Registry/a true")
        assert run.status == "Error"
        assert "podman is not installed" in str(run.error)
        assert INSTALL in tasks.log(run)


def delete_manifest(url: str, repository: str, digest: str) -> None:
    request = urllib.request.Request(f"{url}/v2/{repository}/manifests/{digest}", method="DELETE")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10):
        pass


def test_a_run_that_is_cancelled_before_its_first_moment_ends(
    cloud_options: Options, engine: Engine, tmp_path: Path
) -> None:
    body = {"type": "EncodedTaskRunRequest", "encodedTaskContent": "", "platform": {"os": "Linux"}}

    class Request:
        async def text(self) -> str:
            return json.dumps(body)

    async def schedule_and_cancel_at_once() -> str:
        cloud = Cloud(Options(registries=cloud_options.registries, state=tmp_path, storage=cloud_options.storage))
        service = RegistryTasks(cloud, lambda: engine)
        names = {"registry": world.STAGING, "run": "ca1"}
        call = ArmCall(cast("web.Request", Request()), names, "2025-03-01-preview")
        async with contextlib.asynccontextmanager(service.running)(web.Application()):
            await service.schedule_run(call)
            await service.cancel_run(call)
            answer = (await service.get_run(call)).text
        return str(json.loads(answer or "")["properties"]["status"])

    assert asyncio.run(schedule_and_cancel_at_once()) == "Canceled"
