"""The agent of ACR Tasks: runs a task's steps with this machine's engine, and logs as Azure's agent does."""

from __future__ import annotations

import asyncio
import time

from local.cloud.task_arguments import TaskRefusedError
from local.cloud.task_docker import Ceiling, parse_docker_run
from local.cloud.task_images import AgentImages, PullFailedError
from local.cloud.task_logs import RunLog
from local.cloud.task_yaml import RunVariables, Step, parse_task
from local.contained_run import run_container
from local.containers import Engine

DEADLINE = "context deadline exceeded"
"""What the agent says of a step or a run whose time was up."""

_DOCKER_FAILED = 125
"""Exit status of `docker run` when docker itself, not the container, failed."""
_BACKSTOP_S = 15
"""How long after a step's time Podman ends its container by itself."""


class StepFailedError(Exception):
    """The task did not get to its end; the message is the agent's: `exit status N` or DEADLINE."""


class Agent:
    """Runs tasks, several at a time if asked. To stop one, cancel it."""

    def __init__(self, engine: Engine, images: AgentImages, ceiling: Ceiling | None = None) -> None:
        self._engine = engine
        self._images = images
        self._ceiling = ceiling or Ceiling()

    async def run_task(self, text: str, variables: RunVariables, log: RunLog) -> None:
        """Run the steps in order; StepFailedError at the first that fails, or for a task that is refused as a whole."""
        try:
            steps = parse_task(text, variables)
        except TaskRefusedError as error:
            log.write(f"{error}\n")
            raise StepFailedError("exit status 1") from error
        elapsed = {step.id: await self._run_step(step, log) for step in steps}
        for step_id, seconds in elapsed.items():
            log.say(f"Step ID: {step_id} marked as successful (elapsed time in seconds: {seconds:.6f})")

    async def _run_step(self, step: Step, log: RunLog) -> float:
        """Seconds that the step took."""
        log.say(f"Executing step ID: {step.id}. Timeout(sec): {step.timeout_s}, Working directory: '', Network: ''")
        log.say(f"Launching container with name: {step.id}")
        started = time.monotonic()
        failure = await self._failure(step, log)
        if failure is None:
            log.say(f"Successfully executed container: {step.id}")
        elif step.ignore_errors:
            log.say(f"Step ID: {step.id} encountered an error: {failure}, but is set to ignore errors. Continuing...")
        else:
            log.say(f"Container failed during run: {step.id}. No retries remaining.")
            log.write(f"failed to run step ID: {step.id}: {failure}\n")
            raise StepFailedError(failure)
        return time.monotonic() - started

    async def _failure(self, step: Step, log: RunLog) -> str | None:
        try:
            async with asyncio.timeout(step.timeout_s):
                status = await self._docker(step, log)
        except TimeoutError:
            return DEADLINE
        except (TaskRefusedError, PullFailedError) as error:
            log.write(f"{error}\nSee 'docker run --help'.\n")
            status = _DOCKER_FAILED
        return f"exit status {status}" if status else None

    async def _docker(self, step: Step, log: RunLog) -> int:
        """What the step's `docker run` ends with."""
        request = parse_docker_run(step.arguments, step.environment, self._ceiling)
        if request.enforced:
            log.say(f"The local stand-in adds: {' '.join(request.enforced)}")
        async with self._images.pulled(request.image, request.platform) as image:
            with log.container_output() as sink:
                return await run_container(
                    self._engine,
                    request.options,
                    image,
                    request.command,
                    backstop_s=step.timeout_s + _BACKSTOP_S,
                    output=sink,
                )
