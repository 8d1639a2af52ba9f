"""One execution: timeout, retries, outputs."""

from __future__ import annotations

import asyncio
import math

import pytest

from local.functions_host.executor import Call, Executor, OutputError, delay_s
from local.functions_host.messages import Failed, Invocation, Json, Outcome, Retry, Succeeded, Text
from tests.functions_host.fakes import Invoker, Outputs, function

CALL = Call(Json("{}"), "because")
QUEUE = function("jobs", "queueTrigger", "out:queue", retry=Retry(5, "fixed_delay"))


async def no_wait(_seconds: float) -> None:
    await asyncio.sleep(0)


def answering(*outcomes: Outcome) -> Invoker:
    remaining = list(outcomes)

    async def behave(_: Invocation) -> Outcome:
        await asyncio.sleep(0)
        return remaining.pop(0) if len(remaining) > 1 else remaining[0]

    return Invoker(behave)


def test_outputs_are_written_only_after_success() -> None:
    succeeded, outputs = Succeeded(Text("x")), Outputs()
    asyncio.run(Executor(answering(Failed("no")), outputs, None).run(QUEUE, CALL))
    assert outputs.written == []
    asyncio.run(Executor(answering(succeeded), outputs, None).run(QUEUE, CALL))
    assert outputs.written == [("jobs", succeeded)]


def test_an_output_that_cannot_be_written_fails_the_invocation() -> None:
    outputs = Outputs(OutputError("queue is full"))
    assert asyncio.run(Executor(answering(Succeeded()), outputs, None).run(QUEUE, CALL)) == Failed("queue is full")


def test_a_function_that_exceeds_the_timeout_fails_and_its_process_is_ended() -> None:
    async def hang(_: Invocation) -> Outcome:
        await asyncio.Event().wait()
        return Succeeded()

    invoker = Invoker(hang)
    outcome = asyncio.run(Executor(invoker, Outputs(), 0.01).run(QUEUE, CALL))
    assert isinstance(outcome, Failed)
    assert "0.01 s was exceeded by function: Functions.jobs" in outcome.message
    assert invoker.kills == 1


def test_only_a_timers_own_retry_policy_is_followed() -> None:
    invoker = answering(Failed("no"))
    asyncio.run(Executor(invoker, Outputs(), None, no_wait).run(QUEUE, CALL))
    assert len(invoker.invocations) == 1


@pytest.mark.parametrize(
    ("outcomes", "attempts", "end"),
    [
        ([Failed("a"), Failed("b"), Succeeded()], [0, 1, 2], Succeeded()),
        ([Failed("a"), Failed("b"), Failed("c"), Succeeded()], [0, 1, 2], Failed("c")),
        ([Succeeded()], [0], Succeeded()),
    ],
)
def test_a_timer_is_retried_as_often_as_its_policy_says(
    outcomes: list[Outcome], attempts: list[int], end: Outcome
) -> None:
    invoker, slept = answering(*outcomes), []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    tick = function("tick", "timerTrigger", retry=Retry(2, "fixed_delay", delay_s=7))
    assert asyncio.run(Executor(invoker, Outputs(), None, sleep).run(tick, CALL)) == end
    assert [each.attempt for each in invoker.invocations] == attempts
    assert {each.max_retries for each in invoker.invocations} == {2}
    assert slept == [7] * (len(attempts) - 1)


@pytest.mark.parametrize(
    ("attempt", "delay"), [(0, 2), (1, 4), (2, 8), (5, 60), (2000, 60)], ids=lambda value: f"{value}"
)
def test_the_exponential_delay_doubles_up_to_its_maximum(attempt: int, delay: float) -> None:
    retry = Retry(-1, "exponential_backoff", minimum_s=2, maximum_s=60)
    assert math.isclose(delay_s(retry, attempt, jitter=1), delay)


def test_the_executor_knows_what_runs_and_when_nothing_does() -> None:
    async def scene() -> None:
        gate = asyncio.Event()

        async def behave(_: Invocation) -> Outcome:
            await gate.wait()
            return Succeeded()

        invoker = Invoker(behave)
        executor = Executor(invoker, Outputs(), None)
        running = [asyncio.create_task(executor.run(QUEUE, CALL)) for _ in range(2)]
        await asyncio.sleep(0.01)
        first, second = (each.id for each in invoker.invocations)
        assert first != second
        assert (executor.running, executor.function_of(first), executor.function_of("other")) == (2, "jobs", None)
        idle = asyncio.create_task(executor.wait_idle())
        await asyncio.sleep(0)
        assert not idle.done()
        gate.set()
        await asyncio.gather(*running, idle)
        assert (executor.running, executor.function_of(first)) == (0, None)

    asyncio.run(scene())


def test_every_invocation_has_a_trace() -> None:
    invoker = answering(Succeeded())
    asyncio.run(Executor(invoker, Outputs(), None).run(QUEUE, Call(Json("{}"), "because", traceparent="00-a-b-01")))
    asyncio.run(Executor(invoker, Outputs(), None).run(QUEUE, CALL))
    given, made = (each.traceparent for each in invoker.invocations)
    assert given == "00-a-b-01"
    assert len(made) == 55
