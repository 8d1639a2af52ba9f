"""Jobs of the emulated workspaces, which really run, and their run history: routes and lives.

Emulated. The routes are those that azure-ai-ml 1.35.2 calls; the run history answers at the host that discovery names.
Unverified: which words the service finds for an eviction, the order of lists, and which transitions raise events.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import web

from local import world
from local.bounded_output import BoundedOutput
from local.cloud.arm import ArmCall
from local.cloud.core import Cloud
from local.cloud.errors import ArmError
from local.cloud.ml_assets import Assets
from local.cloud.ml_compute import ImageMissingError, Places, run_image, run_process
from local.cloud.ml_jobs import FINAL, Job, Jobs, now, workspace_id
from local.cloud.ml_workspaces import HISTORY_HOST, WORKSPACE, Workspaces
from local.cloud.state import StateFile
from local.cloud.task_images import AgentImages
from local.cloud.task_logs import LogStore
from local.cloud.tokens import require_bearer
from local.containers import EngineMissingError, find_engine

_HISTORY = (
    "/history/v1.0/subscriptions/{subscription}/resourceGroups/{group}/providers"
    "/Microsoft.MachineLearningServices/workspaces/{workspace}/runs/{run}"
)
_log = logging.getLogger(__name__)


def install(cloud: Cloud, folder: Path, workspaces: Workspaces, assets: Assets) -> None:
    """Add the routes; `folder` is where jobs are kept."""
    service = _JobService(cloud, folder, workspaces, assets)
    arm = cloud.arm
    arm.add("GET", f"{WORKSPACE}/jobs", service.list_jobs)
    arm.add("GET", f"{WORKSPACE}/jobs/{{job}}", service.get_job)
    arm.add("PUT", f"{WORKSPACE}/jobs/{{job}}", service.put_job)
    arm.add("POST", f"{WORKSPACE}/jobs/{{job}}/cancel", service.cancel_job)
    history = cloud.host(HISTORY_HOST).router
    history.add_get("/discovery", service.discovery)
    history.add_get(_HISTORY, service.get_run)
    history.add_get(f"{_HISTORY}/details", service.get_details)
    history.add_get(f"{_HISTORY}/children", service.get_children)
    router = cloud.local.router
    router.add_get("/admin/jobs", service.admin_list)
    router.add_post("/admin/jobs", service.admin_make)
    router.add_post("/admin/jobs/{workspace}/{job}/evict", service.admin_evict)
    cloud.lifetime(service.running)


class _JobService:
    """The jobs of all workspaces."""

    def __init__(self, cloud: Cloud, folder: Path, workspaces: Workspaces, assets: Assets) -> None:
        self._cloud = cloud
        self._jobs = Jobs(StateFile(folder / "jobs.json"))
        self._folder = folder
        self._places = Places(folder / "datastores")
        self._workspaces = workspaces
        self._assets = assets
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._evicted: set[tuple[str, str]] = set()
        self._logs: LogStore | None = None

    async def running(self, _app: web.Application) -> AsyncIterator[None]:
        """Jobs that a killed stand-in left behind have failed; at the end those that run are stopped."""
        if self._cloud.options.storage:
            self._logs = LogStore(self._cloud.options.storage)
        lost = [job for name in self._workspaces.names() for job in self._jobs.of(name) if job.status not in FINAL]
        for job in lost:
            job.error = {"code": "SystemError", "message": "The stand-in was stopped while the job ran."}
            await self._change(job, "Failed")
        yield
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._logs is not None:
            await self._logs.close()

    # ARM -----------------------------------------------------------------------------------------------------------

    async def list_jobs(self, call: ArmCall) -> web.Response:
        """Newest first, in pages as Azure has them."""
        name = self._workspaces.name(call)
        skip = call.request.query.get("$skip", "0")
        start = int(skip) if skip.isdigit() else 0
        jobs = list(self._jobs.of(name))
        page = {"value": [job.resource() for job in jobs[start : start + 100]]}
        if start + 100 < len(jobs):
            path = f"https://management.azure.com{workspace_id(name)}/jobs"
            page["nextLink"] = f"{path}?api-version={call.api_version}&$skip={start + 100}"  # type: ignore[assignment]
        return web.json_response(page)

    async def get_job(self, call: ArmCall) -> web.Response:
        return web.json_response(self._job(call.names["workspace"], call.names["job"]).resource())

    async def put_job(self, call: ArmCall) -> web.Response:
        """A new job starts at once. One that is there only gets other tags (unverified: what Azure takes besides)."""
        workspace, name = self._workspaces.name(call), call.names["job"]
        body = (await call.json()).get("properties")
        if not isinstance(body, dict) or not body.get("jobType"):
            raise ArmError(400, "ValidationError", "The job has no properties.jobType.")
        known = self._jobs.get(workspace, name)
        if known is not None:
            known.properties["tags"] = body.get("tags") or {}
            self._jobs.put(known)
            return web.json_response(known.resource())
        job = Job(workspace, name, body)
        self._jobs.put(job)
        self._start(job)
        return web.json_response(job.resource(), status=201)

    async def cancel_job(self, call: ArmCall) -> web.Response:
        job = self._job(call.names["workspace"], call.names["job"])

        async def work() -> None:
            await self._stop(job)

        return self._cloud.operations.accepted(call, work())

    # The run history -----------------------------------------------------------------------------------------------

    async def discovery(self, _request: web.Request) -> web.Response:
        return web.json_response({"api": f"https://{HISTORY_HOST}", "history": f"https://{HISTORY_HOST}"})

    async def get_run(self, request: web.Request) -> web.Response:
        return web.json_response(self._run(request).run())

    async def get_details(self, request: web.Request) -> web.Response:
        job = self._run(request)
        links = {"user_logs/std_log.txt": self._logs.link(job.log)} if job.log and self._logs else {}
        return web.json_response({**job.run(), "logFiles": links})

    async def get_children(self, request: web.Request) -> web.Response:
        job = self._run(request)
        return web.json_response({"value": [each.run() for each in self._jobs.of(job.workspace, job.name)]})

    def _run(self, request: web.Request) -> Job:
        require_bearer(request)
        return self._job(request.match_info["workspace"], request.match_info["run"])

    # Admin: what only happens to real jobs ---------------------------------------------------------------------------

    async def admin_list(self, _request: web.Request) -> web.Response:
        jobs = [job for name in self._workspaces.names() for job in self._jobs.of(name)]
        shown = [{"workspace": each.workspace, "name": each.name, "status": each.status} for each in jobs]
        return web.json_response({"jobs": shown})

    async def admin_make(self, request: web.Request) -> web.Response:
        """Jobs that have ended already, with their log: `{"jobs": [{workspace, name, status, log, error, properties}]}`."""
        jobs = []
        for raw in (await request.json())["jobs"]:
            workspace = self._workspaces.find(raw["workspace"])["name"]
            job = Job(workspace, raw["name"], {"jobType": "Command", "command": "true", **raw.get("properties", {})})
            job.started, job.ended, job.error = job.created, now(), raw.get("error")
            job.status = raw.get("status", "Failed")
            if raw.get("log"):
                await self._write_log(job, raw["log"].encode())
            jobs.append(job)
        self._jobs.put(*jobs)
        for job in jobs:
            await self._cloud.raise_events(workspace_id(job.workspace), [job.event()])
        return web.json_response({"made": len(jobs)}, status=201)

    async def admin_evict(self, request: web.Request) -> web.Response:
        """Take the node away: SIGTERM, 30 s, SIGKILL. 409: the compute is dedicated, or the job does not run."""
        job = self._job(request.match_info["workspace"], request.match_info["job"])
        key = (job.workspace, job.name)
        if self._tier(job) != "LowPriority":
            raise ArmError(409, "Conflict", f"The job '{job.name}' is on a dedicated compute: it is not evicted.")
        if key not in self._tasks:
            raise ArmError(409, "Conflict", f"The job '{job.name}' is {job.status}.")
        self._evicted.add(key)
        await self._stop(job)
        return web.json_response({"name": job.name, "status": job.status})

    # Jobs ------------------------------------------------------------------------------------------------------------

    def _start(self, job: Job) -> None:
        key = (job.workspace, job.name)
        # Eager: a task that is cancelled before its first moment would never come to the code that ends the job.
        work = self._carry_out(job)
        self._tasks[key] = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)
        self._tasks[key].add_done_callback(lambda _task: self._tasks.pop(key, None))

    async def _stop(self, job: Job) -> None:
        task = self._tasks.get((job.workspace, job.name))
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _carry_out(self, job: Job) -> None:
        """From Preparing to a final status, whatever happens."""
        output = BoundedOutput()
        log = bytearray()
        status = "Failed"
        try:
            await self._change(job, "Preparing")
            job.started = now()
            await self._change(job, "Running")
            is_pipeline = job.properties.get("jobType") == "Pipeline"
            async with asyncio.timeout(job.limit):
                code = await (self._run_pipeline(job) if is_pipeline else self._run_command(job, output.feed))
            status = "Completed" if code == 0 else "Failed"
            if code and not is_pipeline:
                words = f"Execution failed. User process exited with status code {code}. Please check the log for more."
                job.error = {"code": "UserError", "message": words}
        except TimeoutError:
            status = "Canceled"
        except asyncio.CancelledError:
            status = self._ended_by_others(job)
        except ImageMissingError as error:
            job.error = {"code": "UserError", "message": f"Failed to pull image: {error}"}
        except Exception as error:  # noqa: BLE001  the stand-in is at fault, and a job must end
            _log.exception("job %s", job.name)
            job.error = {"code": "SystemError", "message": str(error)}
        log += output.take() + output.finish()
        await self._write_log(job, bytes(log))
        await self._change(job, status)

    def _ended_by_others(self, job: Job) -> str:
        key = (job.workspace, job.name)
        if key not in self._evicted:
            return "Canceled"
        self._evicted.discard(key)
        words = "The job was preempted because its low-priority node was reclaimed."
        job.error = {"code": "UserError", "message": words, "innerError": {"code": "JobPreempted"}}
        return "Failed"

    async def _run_pipeline(self, job: Job) -> int:
        """Its nodes one after the other, each a run of its own; one that completed before is taken over, as Azure ML does.

        Emulated: nodes that bring their command themselves, or are pipelines of such nodes. Components, and data that goes
        from node to node, are not.
        """
        done = self._done_before(job)
        for name, node in job.properties["jobs"].items():
            if "command" not in node and "jobs" not in node:
                raise ValueError(f"node {name}: the stand-in runs nodes that have a command, or nodes themselves")
            own = {
                "jobType": "Pipeline" if "jobs" in node else "Command",
                "displayName": name,
                "experimentName": job.properties.get("experimentName"),
            }
            step = Job(job.workspace, f"{job.name}-{name}", {**node, **own, "parentJobName": job.name})
            self._jobs.put(step)
            if done.get(name) == node and not (job.properties.get("settings") or {}).get("force_rerun"):
                step.properties["properties"] = {"azureml.isreused": "true"}
                step.started = now()
                await self._change(step, "Completed")
                continue
            try:
                self._start(step)
                await asyncio.wait([self._tasks[job.workspace, step.name]])
            finally:
                await self._stop(step)
            if step.status != "Completed":
                job.error = {"code": "UserError", "message": f"Pipeline has failed child jobs. Failed nodes: /{name}."}
                return 1
        return 0

    def _done_before(self, job: Job) -> dict[str, Any]:
        """Nodes of the pipeline that this one is a copy of, which completed there."""
        source = self._jobs.get(job.workspace, str(job.properties.get("sourceJobId") or "").rpartition("/")[2])
        if source is None:
            return {}
        ended = {each.name: each.status for each in self._jobs.of(job.workspace, source.name)}
        nodes: dict[str, Any] = source.properties.get("jobs") or {}
        return {name: node for name, node in nodes.items() if ended.get(f"{source.name}-{name}") == "Completed"}

    async def _run_command(self, job: Job, output: Any) -> int:
        command = self._places.command(job.name, job.properties)
        own = {str(name): str(value) for name, value in (job.properties.get("environmentVariables") or {}).items()}
        variables = {"AZUREML_RUN_ID": job.name, "AZUREML_EXPERIMENT_ID": job.experiment_id, **own}
        image = self._image(str(job.properties.get("environmentId") or ""))
        if not image:
            return await run_process(command, variables, self._folder / "work" / job.workspace / job.name, output)
        try:
            engine = await asyncio.to_thread(find_engine)
        except EngineMissingError as error:
            raise ImageMissingError(str(error)) from error
        upstreams = {world.login_server(name).lower(): url for name, url in self._cloud.options.registries.items()}
        return await run_image(engine, AgentImages(engine, upstreams), image, command, variables, output)

    async def _write_log(self, job: Job, data: bytes) -> None:
        """Among the files of the stand-in for people here, and as a blob for those who ask the run history."""
        file = self._folder / "logs" / job.workspace / f"{job.name}.txt"
        await asyncio.to_thread(file.parent.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(file.write_bytes, data)
        if self._logs is None:
            return
        job.log = f"jobs/{job.workspace}/{job.name}/std_log.txt"
        log = await self._logs.create(job.log)
        log.write(data.decode(errors="replace"))
        await log.close(successful=job.error is None)

    async def _change(self, job: Job, status: str) -> None:
        job.status = status
        if status in FINAL:
            job.ended = now()
        self._jobs.save()
        await self._cloud.raise_events(workspace_id(job.workspace), [job.event()])

    # What there is -----------------------------------------------------------------------------------------------------

    def _job(self, workspace: str, name: str) -> Job:
        job = self._jobs.get(self._workspaces.find(workspace)["name"], name)
        if job is None:
            raise ArmError(404, "UserError", f"The job '{name}' was not found in the workspace '{workspace}'.")
        return job

    def _tier(self, job: Job) -> str:
        name = str(job.properties.get("computeId") or "").rpartition("/")[2].lower()
        computes = self._workspaces.find(job.workspace)["computes"]
        return next((str(each["tier"]) for each in computes if each["name"].lower() == name), "Dedicated")

    def _image(self, environment: str) -> str:
        """The image of an environment by its id; empty: it has none, or there is no such environment."""
        try:
            properties = self._assets.find(environment)["properties"]
        except ArmError:
            return ""
        return str(properties.get("image") or "")
