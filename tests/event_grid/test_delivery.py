"""Attempts, retries, times to live, batches and restarts, in virtual time."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from pathlib import Path

import pytest

from local.cloud.event_grid_messages import Refused, Unanswered
from local.cloud.event_grid_schedule import Answer
from tests.event_grid.fakes import (
    FUNCTION,
    TOPIC,
    WEBHOOK,
    Call,
    FakeEndpoints,
    MemoryBlobs,
    in_virtual_time,
    raw_event,
    running_grid,
    statuses,
)

DAY = 24 * 3600.0


def attempts(
    path: Path, endpoints: FakeEndpoints, blobs: MemoryBlobs, *, function: bool = False, wait: float = 3 * DAY
) -> list[float]:
    """Publish one event, wait, and return when it was attempted."""

    async def main() -> list[float]:
        subscription = FUNCTION if function else WEBHOOK
        async with running_grid(path / "events", endpoints, subscription, blobs=blobs) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(wait)
        return [call.at for call in endpoints.calls]

    return in_virtual_time(main())


def test_retries_follow_the_documented_schedule_until_the_time_to_live(tmp_path: Path) -> None:
    blobs = MemoryBlobs()
    times = attempts(tmp_path, FakeEndpoints(statuses(500)), blobs)
    gaps = [round(after - before) for before, after in itertools.pairwise(times)]
    assert gaps == [10, 30, 60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600]
    assert times[-1] <= DAY
    assert [letter["deadLetterReason"] for letter in blobs.letters()] == ["TimeToLiveExceeded"]
    assert blobs.letters()[0]["deliveryAttempts"] == len(times)
    assert blobs.letters()[0]["lastDeliveryOutcome"] == "Busy"


def test_a_30_minute_time_to_live_allows_six_attempts(tmp_path: Path) -> None:
    """The documentation's own example."""

    async def main() -> int:
        endpoints = FakeEndpoints(statuses(500))
        short = dataclasses.replace(WEBHOOK, time_to_live=30 * 60.0, max_attempts=10)
        async with running_grid(tmp_path / "events", endpoints, short) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(DAY)
        return len(endpoints.calls)

    assert in_virtual_time(main()) == 6


def test_the_time_to_live_is_looked_at_only_when_an_attempt_is_due(tmp_path: Path) -> None:
    async def main() -> list[float]:
        blobs = MemoryBlobs()
        short = dataclasses.replace(WEBHOOK, time_to_live=60.0)
        async with running_grid(tmp_path / "events", FakeEndpoints(statuses(500)), short, blobs=blobs) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(DAY)
        return blobs.written_at

    assert in_virtual_time(main()) == [100.0]  # attempts at 0, 10, 40; the one due at 100 finds the event expired


def test_the_time_scale_shortens_every_delay_and_the_time_to_live(tmp_path: Path) -> None:
    async def main() -> tuple[list[float], list[float]]:
        endpoints, blobs = FakeEndpoints(statuses(500)), MemoryBlobs()
        async with running_grid(tmp_path / "events", endpoints, WEBHOOK, blobs=blobs, scale=0.01) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(DAY)
        return [round(call.at, 6) for call in endpoints.calls][:4], [round(at) for at in blobs.written_at]

    assert in_virtual_time(main()) == ([0, 0.1, 0.4, 1.0], [1252])


def test_delays_are_prolonged_by_a_tenth_at_most(tmp_path: Path) -> None:
    async def main() -> float:
        endpoints = FakeEndpoints(statuses(500, 200))
        async with running_grid(tmp_path / "events", endpoints, WEBHOOK, spread=1.0) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(60)
        return endpoints.calls[1].at

    assert in_virtual_time(main()) == pytest.approx(11.0)


@pytest.mark.parametrize(
    ("function", "status", "retried_after"),
    [
        pytest.param(True, 401, 300, id="function 401"),
        pytest.param(True, 404, 300, id="function 404"),
        pytest.param(True, 408, 120, id="function 408"),
        pytest.param(True, 503, 30, id="function 503"),
        pytest.param(True, 500, 10, id="function 500"),
        pytest.param(True, 429, 10, id="function 429"),
        pytest.param(False, 404, 10, id="webhook 404"),
        pytest.param(False, 408, 120, id="webhook 408"),
        pytest.param(False, 503, 30, id="webhook 503"),
        pytest.param(False, 205, 10, id="webhook 205 is no success"),
        pytest.param(False, 302, 10, id="webhook redirects are failures"),
    ],
)
def test_a_failure_is_retried_after_the_delay_of_its_status(
    tmp_path: Path, function: bool, status: int, retried_after: float
) -> None:
    blobs = MemoryBlobs()
    times = attempts(tmp_path, FakeEndpoints(statuses(status, 200)), blobs, function=function)
    assert times == [0, retried_after]
    assert blobs.letters() == []


@pytest.mark.parametrize(
    ("function", "status", "outcome"),
    [
        pytest.param(True, 400, "BadRequest", id="function 400"),
        pytest.param(True, 403, "Forbidden", id="function 403"),
        pytest.param(True, 413, "PayloadTooLarge", id="function 413"),
        pytest.param(False, 400, "BadRequest", id="webhook 400"),
        pytest.param(False, 401, "Unauthorized", id="webhook 401"),
        pytest.param(False, 403, "Forbidden", id="webhook 403"),
        pytest.param(False, 413, "PayloadTooLarge", id="webhook 413"),
    ],
)
def test_a_refusal_becomes_a_dead_letter_at_once(tmp_path: Path, function: bool, status: int, outcome: str) -> None:
    blobs = MemoryBlobs()
    assert attempts(tmp_path, FakeEndpoints(statuses(status)), blobs, function=function) == [0]
    assert blobs.written_at == [0]
    assert blobs.letters()[0]["lastDeliveryOutcome"] == outcome


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204])
def test_a_success_ends_the_delivery(tmp_path: Path, status: int) -> None:
    blobs = MemoryBlobs()
    assert attempts(tmp_path, FakeEndpoints(statuses(status, 500)), blobs) == [0]
    assert blobs.letters() == []


def test_no_answer_is_retried_and_says_so_in_the_dead_letter(tmp_path: Path) -> None:
    async def main() -> dict[str, object]:
        blobs = MemoryBlobs()
        silent = FakeEndpoints(lambda _: Answer(None, "TimedOut", "no answer within 30 s"))
        twice = dataclasses.replace(WEBHOOK, max_attempts=2)
        async with running_grid(tmp_path / "events", silent, twice, blobs=blobs) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(DAY)
        return blobs.letters()[0]

    letter = in_virtual_time(main())
    assert (letter["deadLetterReason"], letter["lastDeliveryOutcome"]) == ("MaxDeliveryAttemptsExceeded", "TimedOut")
    assert letter["deliveryAttempts"] == 2


def test_exhausted_retries_become_a_dead_letter_five_minutes_after_the_last_attempt(tmp_path: Path) -> None:
    async def main() -> list[float]:
        blobs = MemoryBlobs()
        once = dataclasses.replace(WEBHOOK, max_attempts=1)
        async with running_grid(tmp_path / "events", FakeEndpoints(statuses(500)), once, blobs=blobs) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(DAY)
        return blobs.written_at

    assert in_virtual_time(main()) == [300.0]


def test_without_a_container_the_event_is_dropped_and_counted(tmp_path: Path) -> None:
    async def main() -> tuple[int, int, set[str]]:
        blobs = MemoryBlobs()
        loose = dataclasses.replace(WEBHOOK, dead_letter_container=None)
        async with running_grid(tmp_path / "events", FakeEndpoints(statuses(400)), loose, blobs=blobs) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(DAY)
            return len(blobs.letters()), grid.couriers()[0].counts["dropped"], grid.store.receivers()

    assert in_virtual_time(main()) == (0, 1, set())


def test_the_delivery_count_is_the_number_of_attempts_before(tmp_path: Path) -> None:
    endpoints = FakeEndpoints(statuses(500, 500, 200))
    attempts(tmp_path, endpoints, MemoryBlobs())
    assert [call.attempts for call in endpoints.calls] == [0, 1, 2]


def test_an_event_goes_to_every_subscription_that_wants_it_and_to_no_other(tmp_path: Path) -> None:
    async def main() -> list[str]:
        endpoints = FakeEndpoints()
        other_topic = dataclasses.replace(WEBHOOK, name="other-topic", topic=TOPIC + "-other")
        other_case = dataclasses.replace(WEBHOOK, name="other-case", topic=TOPIC.upper())
        async with running_grid(tmp_path / "events", endpoints, WEBHOOK, other_topic, other_case) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(1)
        return sorted(call.subscription for call in endpoints.calls)

    assert in_virtual_time(main()) == ["other-case", "to-webhook"]


def test_a_batch_is_as_large_as_allowed_and_fails_as_a_whole(tmp_path: Path) -> None:
    async def main() -> list[Call]:
        def answer(call: Call) -> Answer:
            return Answer.of_status(500 if "event-2" in call.ids and call.attempts == 0 else 200)

        endpoints = FakeEndpoints(answer)
        batching = dataclasses.replace(WEBHOOK, max_events=3)
        async with running_grid(tmp_path / "events", endpoints, batching) as grid:
            await grid.publish(TOPIC, [raw_event(number) for number in range(1, 6)])
            await asyncio.sleep(60)
        return endpoints.calls

    calls = in_virtual_time(main())
    first, second, again = [(call.at, call.ids) for call in calls]
    assert first == (0, ("event-1", "event-2", "event-3"))
    assert second == (0, ("event-4", "event-5"))
    assert again == (10, first[1])


def test_the_preferred_size_ends_a_batch_but_never_refuses_a_large_event(tmp_path: Path) -> None:
    async def main() -> list[tuple[str, ...]]:
        endpoints = FakeEndpoints()
        batching = dataclasses.replace(WEBHOOK, max_events=10, preferred_bytes=1024)
        async with running_grid(tmp_path / "events", endpoints, batching) as grid:
            large = raw_event(2, data="x" * 4096)
            await grid.publish(TOPIC, [raw_event(1), large, raw_event(3), raw_event(4)])
            await asyncio.sleep(1)
        return [call.ids for call in endpoints.calls]

    assert in_virtual_time(main()) == [("event-1",), ("event-2",), ("event-3", "event-4")]


def test_one_slow_endpoint_does_not_hold_up_another(tmp_path: Path) -> None:
    async def main() -> float:
        endpoints = FakeEndpoints(lambda call: 1000.0 if call.subscription == "slow" else Answer.of_status(200))
        slow = dataclasses.replace(WEBHOOK, name="slow")
        async with running_grid(tmp_path / "events", endpoints, slow, WEBHOOK) as grid:
            await grid.publish(TOPIC, [raw_event(number) for number in range(100)])
            await asyncio.sleep(10)
        return max(call.at for call in endpoints.calls if call.subscription == "to-webhook")

    assert in_virtual_time(main()) == 0


def test_requests_in_flight_are_bounded(tmp_path: Path) -> None:
    async def main() -> int:
        endpoints = FakeEndpoints(lambda _: 1000.0)
        async with running_grid(tmp_path / "events", endpoints, WEBHOOK) as grid:
            await grid.publish(TOPIC, [raw_event(number) for number in range(100)])
            await asyncio.sleep(10)
        return len(endpoints.calls)

    assert in_virtual_time(main()) == 16


def test_nothing_is_delivered_before_the_endpoint_agreed(tmp_path: Path) -> None:
    async def main() -> tuple[list[float], list[float]]:
        endpoints = FakeEndpoints()
        endpoints.consent = [Refused("not yet"), Refused("not yet"), Refused("not yet")]
        async with running_grid(tmp_path / "events", endpoints, WEBHOOK) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(0.3)
            assert (grid.couriers()[0].state, grid.couriers()[0].last_error) == ("Creating", "not yet")
            await asyncio.sleep(60)
            assert (grid.couriers()[0].state, grid.couriers()[0].last_error) == ("Succeeded", "")
        return endpoints.validations, [call.at for call in endpoints.calls]

    assert in_virtual_time(main()) == ([0, 0.25, 0.75, 1.75], [1.75])


def test_a_handshake_that_was_not_answered_waits_for_the_validation_url(tmp_path: Path) -> None:
    async def main() -> list[float]:
        endpoints = FakeEndpoints()
        endpoints.consent = [Unanswered()]
        async with running_grid(tmp_path / "events", endpoints, WEBHOOK) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(100)
            courier = grid.couriers()[0]
            assert courier.state == "AwaitingManualAction"
            assert not courier.consented_by_hand("guessed")
            await asyncio.sleep(1)
            assert courier.state == "AwaitingManualAction"
            assert courier.consented_by_hand(courier.last_error.partition("?")[2].split()[0])
            await asyncio.sleep(1)
        return [call.at for call in endpoints.calls]

    assert in_virtual_time(main()) == [101.0]


def test_the_validation_url_is_of_no_use_after_ten_minutes(tmp_path: Path) -> None:
    async def main() -> list[float]:
        endpoints = FakeEndpoints()
        endpoints.consent = [Unanswered()]
        async with running_grid(tmp_path / "events", endpoints, WEBHOOK):
            await asyncio.sleep(601)
        return endpoints.validations

    assert in_virtual_time(main()) == [0, 600.25]


def test_what_was_not_delivered_is_delivered_after_a_restart(tmp_path: Path) -> None:
    async def main() -> list[tuple[str, ...]]:
        down, up = FakeEndpoints(statuses(500)), FakeEndpoints()
        async with running_grid(tmp_path / "events", down, WEBHOOK) as grid:
            await grid.publish(TOPIC, [raw_event(1), raw_event(2)])
            await asyncio.sleep(5)
        async with running_grid(tmp_path / "events", up, WEBHOOK):
            await asyncio.sleep(60)
        assert [call.attempts for call in up.calls] == [1, 1]
        return [call.ids for call in up.calls]

    assert in_virtual_time(main()) == [("event-1",), ("event-2",)]


def test_an_attempt_that_was_cut_off_is_made_again_after_a_restart(tmp_path: Path) -> None:
    async def main() -> int:
        async with running_grid(tmp_path / "events", FakeEndpoints(lambda _: 20.0), WEBHOOK) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(1)
        after = FakeEndpoints()
        async with running_grid(tmp_path / "events", after, WEBHOOK):
            await asyncio.sleep(1)
        return len(after.calls)

    assert in_virtual_time(main()) == 1


def test_events_of_a_removed_subscription_are_forgotten_at_the_next_start(tmp_path: Path) -> None:
    async def main() -> set[str]:
        async with running_grid(tmp_path / "events", FakeEndpoints(statuses(500)), WEBHOOK) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(1)
        async with running_grid(tmp_path / "events", FakeEndpoints()) as grid:
            return grid.store.receivers()

    assert in_virtual_time(main()) == set()


def test_replacing_a_subscription_keeps_its_undelivered_events(tmp_path: Path) -> None:
    async def main() -> list[float]:
        endpoints = FakeEndpoints(statuses(500, 200))
        async with running_grid(tmp_path / "events", endpoints, WEBHOOK) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(5)
            grid.subscribe(dataclasses.replace(WEBHOOK, name="TO-Webhook"))
            await asyncio.sleep(60)
        return [call.at for call in endpoints.calls]

    assert in_virtual_time(main()) == [0, 10]


def test_a_malformed_event_is_refused_with_all_events_of_its_request(tmp_path: Path) -> None:
    async def main() -> list[Call]:
        endpoints = FakeEndpoints()
        async with running_grid(tmp_path / "events", endpoints, WEBHOOK) as grid:
            with pytest.raises(ValueError, match="event 1: 'subject' is missing"):
                await grid.publish(TOPIC, [raw_event(1), {"id": "2"}])
            await asyncio.sleep(1)
        return endpoints.calls

    assert in_virtual_time(main()) == []
