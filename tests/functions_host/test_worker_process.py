"""The child process: what it finds in an app, what it runs, and what is left when it dies."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import textwrap
from collections.abc import Awaitable, Callable

import pytest

from local.functions_host.messages import (
    Failed,
    Function,
    HttpRequest,
    Indexed,
    IndexFailed,
    Invocation,
    Outcome,
    Retry,
    Succeeded,
    Text,
)
from local.functions_host.workerprocess import WorkerProcess, describe_exit
from tests.functions_host.fakes import eventually
from tests.functions_host.hosting import APPS


class Scene:
    """One worker of one app."""

    def __init__(self, worker: WorkerProcess, functions: tuple[Function, ...]) -> None:
        self.worker = worker
        self.functions = {each.name: each for each in functions}
        self._count = 0

    async def misbehave(self, how: str) -> Outcome:
        self._count += 1
        request = HttpRequest("GET", "http://x", {}, {}, {"how": how}, b"")
        function = self.functions["misbehave"]
        return await self.worker.invoke(
            Invocation(f"id-{self._count}", function.id, function.trigger.name, request, {})
        )


def play(scene: Callable[[Scene], Awaitable[None]], app: pathlib.Path = APPS / "everything") -> None:
    async def run() -> None:
        worker = WorkerProcess(app, os.environ, lambda _: None, restart_delay_s=0)
        await worker.start()
        index = await worker.index()
        assert isinstance(index, Indexed)
        try:
            await scene(Scene(worker, index.functions))
        finally:
            await worker.stop(1)

    asyncio.run(run())


def app_of(folder: pathlib.Path, source: str) -> pathlib.Path:
    (folder / "function_app.py").write_text(textwrap.dedent(source))
    return folder


def index_of(app: pathlib.Path) -> Indexed | IndexFailed:
    async def run() -> Indexed | IndexFailed:
        worker = WorkerProcess(app, os.environ, lambda _: None, restart_delay_s=0)
        await worker.start()
        index = await worker.index()
        await worker.stop(1)
        return index

    return asyncio.run(run())


def test_the_functions_of_an_app_are_found_with_their_bindings(tmp_path: pathlib.Path) -> None:
    app = app_of(
        tmp_path,
        """
        import azure.functions as func
        app = func.FunctionApp()

        @app.timer_trigger(arg_name="timer", schedule="0 0 * * * *", run_on_startup=True)
        @app.retry(strategy="exponential_backoff", max_retry_count="4", minimum_interval="00:00:02", maximum_interval="00:01:00")
        @app.queue_output(arg_name="out", queue_name="q", connection="C")
        def tick(timer: func.TimerRequest, out: func.Out[str]) -> None: ...
        """,
    )
    index = index_of(app)
    assert isinstance(index, Indexed)
    [tick] = index.functions
    assert (tick.name, tick.trigger.type, tick.trigger.settings["schedule"]) == ("tick", "timerTrigger", "0 0 * * * *")
    assert [(each.name, each.type, each.settings["queueName"]) for each in tick.outputs] == [("out", "queue", "q")]
    assert tick.retry == Retry(4, "exponential_backoff", minimum_s=2, maximum_s=60)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_library", "No module named 'no_such_library'"),
        ("def broken(:", "invalid syntax"),
        ("x = 1", "Could not find top level function app"),
    ],
)
def test_an_app_that_cannot_be_loaded_says_why_with_its_traceback(
    tmp_path: pathlib.Path, source: str, message: str
) -> None:
    index = index_of(app_of(tmp_path, source))
    assert isinstance(index, IndexFailed)
    assert message in index.message
    assert "Traceback" in index.traceback


def test_an_app_that_kills_its_process_while_it_loads_is_given_up_after_three_starts(tmp_path: pathlib.Path) -> None:
    index = index_of(app_of(tmp_path, "import os; open('starts', 'a').write('x'); os.kill(os.getpid(), 9)"))
    assert index == IndexFailed("The worker process was ended by SIGKILL while it loaded the app, 3 times in a row.")
    assert (tmp_path / "starts").read_text() == "xxx"


@pytest.mark.parametrize(
    ("how", "reason"),
    [("exit", "exited with code 3"), ("crash", "was ended by SIGABRT")],
)
def test_a_process_that_dies_fails_what_ran_in_it_and_is_replaced(how: str, reason: str) -> None:
    async def scene(on: Scene) -> None:
        sleeping = asyncio.create_task(on.misbehave("sleep"))
        await asyncio.sleep(0)
        first = on.worker.pid
        assert await on.misbehave(how) == Failed(f"The worker process {reason}.")
        assert await sleeping == Failed(f"The worker process {reason}.")
        assert await on.misbehave("log") == Succeeded(Text("fine"))  # waits for the replacement
        assert on.worker.pid != first
        assert on.worker.starts == 2

    play(scene)


def test_a_killed_function_ends_though_it_blocks_and_its_process_is_gone() -> None:
    async def scene(on: Scene) -> None:
        sleeping = asyncio.create_task(on.misbehave("sleep"))
        await eventually(lambda: on.worker.pid)
        pid = on.worker.pid
        assert pid
        await asyncio.sleep(0)
        on.worker.kill()
        assert await sleeping == Failed("The worker process was ended by SIGKILL.")
        assert await on.misbehave("log") == Succeeded(Text("fine"))
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    play(scene)


def test_many_invocations_run_at_once_in_one_process() -> None:
    async def scene(on: Scene) -> None:
        outcomes = await asyncio.gather(*(on.misbehave("log") for _ in range(200)))
        assert outcomes == [Succeeded(Text("fine"))] * 200
        assert on.worker.starts == 1

    play(scene)


def test_stop_ends_a_function_that_does_not() -> None:
    async def scene(on: Scene) -> None:
        sleeping = asyncio.create_task(on.misbehave("sleep"))
        await asyncio.sleep(0.05)
        pid = on.worker.pid
        assert pid
        await on.worker.stop(0.1)
        assert await sleeping == Failed("The worker process was ended by SIGKILL.")
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    play(scene)


def test_a_process_that_cannot_be_started_is_an_error_of_the_caller() -> None:
    async def run() -> None:
        unusable = {"TOO_LONG": "x" * (4 << 20)}  # more than one environment variable may hold
        with pytest.raises(OSError, match="Argument list too long"):
            await WorkerProcess(APPS / "everything", unusable, lambda _: None).start()

    asyncio.run(run())


def test_an_exit_is_described_by_its_code_or_its_signal() -> None:
    assert describe_exit(3) == "exited with code 3"
    assert describe_exit(-signal.SIGKILL) == "was ended by SIGKILL"
