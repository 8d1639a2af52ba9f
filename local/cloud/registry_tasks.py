"""ACR Tasks: quick runs of a task that really run its images on this machine; logs go to the storage account."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from aiohttp import web

from local import world
from local.cloud.arm import REGISTRY, ArmCall
from local.cloud.core import Cloud
from local.cloud.errors import ArmError
from local.cloud.task_agent import DEADLINE, Agent, StepFailedError
from local.cloud.task_images import AgentImages
from local.cloud.task_logs import LogStore, RunLog
from local.cloud.task_requests import RunRequest, run_request
from local.cloud.task_runs import Run, RunStore, now
from local.cloud.task_yaml import RunVariables
from local.container_owner import remove_orphans
from local.containers import Engine, EngineMissingError, find_engine

_log = logging.getLogger(__name__)

AGENTS = 2
"""Runs at one time; others are Queued."""

_RUN_FAILED = "failed during run, err: exit status 1"
"""A run's error when a step failed, whatever the step's own exit status: it is the exit status of the agent's program.
The step's is in the log, in the line `failed to run step ID: <id>: exit status N`. Seen in public logs of ACR."""


def install(cloud: Cloud, engine: Callable[[], Engine] = find_engine) -> None:
    """Add the routes of ACR Tasks."""
    service = RegistryTasks(cloud, engine)
    cloud.arm.add("POST", f"{REGISTRY}/scheduleRun", service.schedule_run)
    cloud.arm.add("GET", f"{REGISTRY}/runs", service.list_runs)
    cloud.arm.add("GET", f"{REGISTRY}/runs/{{run}}", service.get_run)
    cloud.arm.add("POST", f"{REGISTRY}/runs/{{run}}/cancel", service.cancel_run)
    cloud.arm.add("POST", f"{REGISTRY}/runs/{{run}}/listLogSasUrl", service.log_link)
    cloud.lifetime(service.running)


class RegistryTasks:
    """Accepts runs, keeps their records, and carries each out in a task of its own."""

    def __init__(self, cloud: Cloud, find: Callable[[], Engine]) -> None:
        self._cloud = cloud
        self._find = find
        self._runs = RunStore(Path(cloud.options.state) / "task-runs")
        self._agent: Agent | str = "the stand-in is not started"
        """The agent, or why there is none."""
        self._logs: LogStore | None = None
        self._places = asyncio.Semaphore(AGENTS)
        self._running: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._stopping = False

    async def running(self, _app: web.Application) -> AsyncIterator[None]:
        """Find the engine, remove containers of a stand-in that crashed; at the end stop what runs."""
        self._agent = await asyncio.to_thread(self._make_agent)
        if isinstance(self._agent, str):
            _log.warning("ACR Tasks: %s", self._agent)
        if self._cloud.options.storage:
            self._logs = LogStore(self._cloud.options.storage)
        yield
        self._stopping = True
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        if self._logs is not None:
            await self._logs.close()

    def _make_agent(self) -> Agent | str:
        try:
            engine = self._find()
            remove_orphans(engine)
        except (EngineMissingError, RuntimeError) as error:
            return str(error)
        upstreams = {world.login_server(name).lower(): url for name, url in self._cloud.options.registries.items()}
        return Agent(engine, AgentImages(engine, upstreams))

    # Routes

    async def schedule_run(self, call: ArmCall) -> web.Response:
        """Azure answers 200, not 202, and its client takes nothing else."""
        registry, _ = self._cloud.registry(call.names["registry"])
        if self._logs is None:
            raise ArmError(503, "ServiceUnavailable", "The stand-in has no storage account for the logs of runs.")
        request = run_request(await call.json())
        run = self._runs.create(registry, request.platform, request.cpu)
        key = (run.registry, run.run_id)
        # Eager: a task that is cancelled before its first moment would never come to the code that ends the run.
        work = self._carry_out(run, request, self._logs)
        self._running[key] = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)
        self._running[key].add_done_callback(lambda _task: self._running.pop(key))
        return web.json_response(run.resource(world.registry_id(registry)))

    async def get_run(self, call: ArmCall) -> web.Response:
        run = self._run(call)
        return web.json_response(run.resource(world.registry_id(run.registry)))

    async def list_runs(self, call: ArmCall) -> web.Response:
        """Newest first. `$filter` is refused: ignoring it would give wrong runs."""
        registry, _ = self._cloud.registry(call.names["registry"])
        if call.request.query.get("$filter"):
            raise ArmError(400, "InvalidFilter", "The stand-in does not filter runs.")
        top = call.request.query.get("$top", "100")
        if not top.isdigit() or not 1 <= int(top) <= 100:
            raise ArmError(400, "InvalidTop", f"$top is {top!r}; it is a number from 1 to 100.")
        runs = self._runs.of(registry)[: int(top)]
        return web.json_response({"value": [run.resource(world.registry_id(registry)) for run in runs]})

    async def cancel_run(self, call: ArmCall) -> web.Response:
        """Stop a run; its container is gone when this answers. Unverified: Azure's answer for a run that has ended."""
        run = self._run(call)
        task = self._running.get((run.registry, run.run_id))
        if task is not None:
            if not task.cancelling():  # a second one would cut off the removal of the container
                task.cancel()
            await asyncio.wait([task])
        return web.Response()

    async def log_link(self, call: ArmCall) -> web.Response:
        run = self._run(call)
        if self._logs is None:
            raise ArmError(503, "ServiceUnavailable", "The stand-in has no storage account for the logs of runs.")
        return web.json_response({"logLink": self._logs.link(run.log_name)})

    def _run(self, call: ArmCall) -> Run:
        registry, _ = self._cloud.registry(call.names["registry"])
        run = self._runs.get(registry, call.names["run"])
        if run is None:
            raise ArmError(404, "ResourceNotFound", f"The run '{call.names['run']}' was not found in '{registry}'.")
        return run

    # Runs

    async def _carry_out(self, run: Run, request: RunRequest, logs: LogStore) -> None:
        """From Queued to a final status, whatever happens."""
        try:
            async with self._places:
                log = await logs.create(run.log_name)
                run = self._runs.save(dataclasses.replace(run, status="Running", start_time=now()))
                status, error = await self._outcome(run, request, log)
        except asyncio.CancelledError:
            status, error = ("Error", "the stand-in was stopped") if self._stopping else ("Canceled", None)
        except Exception as unexpected:  # noqa: BLE001  the stand-in or its storage is at fault, and a run must end
            _log.exception("run %s of %s", run.run_id, run.registry)
            status, error = "Error", str(unexpected)
        self._runs.save(dataclasses.replace(run, status=status, finish_time=now(), error=error))

    async def _outcome(self, run: Run, request: RunRequest, log: RunLog) -> tuple[str, str | None]:
        """(final status, error). Unverified: that Azure calls a run whose time was up Timeout, and not Failed."""
        started = time.monotonic()
        outcome: tuple[str, str | None] = ("Canceled", None)
        try:
            async with log.shown(), asyncio.timeout(request.timeout_s):
                outcome = await self._run_task(run, request, log)
        except TimeoutError:
            outcome = ("Timeout", f"failed during run, err: {DEADLINE}")
        finally:
            took = f"{time.monotonic() - started:.0f}s"
            log.write(f"\nRun ID: {run.run_id} {_ending(*outcome, took)}\n")
            await asyncio.shield(log.close(successful=outcome[0] == "Succeeded"))
        return outcome

    async def _run_task(self, run: Run, request: RunRequest, log: RunLog) -> tuple[str, str | None]:
        if isinstance(self._agent, str):
            log.write(f"{self._agent}\n")
            return "Error", self._agent
        variables = RunVariables(
            run_id=run.run_id,
            registry=world.login_server(run.registry).lower(),
            os=request.platform["os"],
            architecture=request.platform["architecture"],
            values=request.values,
        )
        try:
            await self._agent.run_task(request.task, variables, log)
        except StepFailedError:
            return "Failed", _RUN_FAILED
        return "Succeeded", None


def _ending(status: str, error: str | None, took: str) -> str:
    match status:
        case "Succeeded":
            return f"was successful after {took}"
        case "Canceled":
            return f"was canceled after {took}"
        case _:
            return f"failed after {took}. Error: {error}"
