"""Attempts, retries, times to live, batches and restarts, in virtual time."""

from __future__ import annotations

import asyncio
import dataclasses
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
    gaps = [round(after - before) for before, after in zip(times, times[1:], strict=False)]
    assert gaps == [10, 30, 60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600]
    assert times[-1] <= DAY
    assert [letter["deadLetterReason"] for letter in blobs.letters()] == ["TimeToLiveExceeded"]
    assert blobs.letters()[0]["deliveryAttempts"] == len(times)
    assert blobs.letters()[0]["lastDeliveryOutcome"] == "Busy"
