"""Name and content of dead letters, and what happens while storage is down."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from local.cloud.event_grid_dead_letters import blob_name, content
from local.cloud.event_grid_events import Event, Schema
from local.cloud.event_grid_store import Delivery
from tests.event_grid.fakes import (
    TOPIC,
    WEBHOOK,
    FakeEndpoints,
    MemoryBlobs,
    event,
    in_virtual_time,
    raw_event,
    running_grid,
    statuses,
    vector,
)

ONCE = dataclasses.replace(WEBHOOK, max_attempts=1)
NEW_YEARS_MORNING = 1_767_254_400.0  # 2026-01-01T08:00:00Z


def given_up(of: Event) -> Delivery:
    return Delivery(
        id=7,
        subscription="to-webhook",
        event=of,
        size=1,
        published=NEW_YEARS_MORNING - 60,
        due=NEW_YEARS_MORNING,
        attempts=1,
        last_attempt=NEW_YEARS_MORNING - 30,
        outcome="NotFound",
        reason="MaxDeliveryAttemptsExceeded",
        gave_up=NEW_YEARS_MORNING,
    )


def test_the_blob_is_named_after_subscription_and_hour_without_leading_zeros() -> None:
    guid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    assert re.fullmatch(rf"TO-WEBHOOK/2026/1/1/8/{guid}\.json", blob_name(given_up(event())))


def test_a_dead_letter_that_is_written_twice_is_one_blob() -> None:
    first = given_up(event())
    assert blob_name(first) == blob_name(dataclasses.replace(first, due=first.due + 7200))
    assert blob_name(first) != blob_name(dataclasses.replace(first, id=8))


@pytest.mark.parametrize(
    ("schema", "sample"),
    [
        (Schema.EVENT_GRID, "eg_deadletter.docs2023.eventgrid"),
        (Schema.CLOUD_EVENTS, "eg_deadletter.docs2023.cloudevents"),
    ],
)
def test_a_dead_letter_has_the_documented_fields_in_its_schema(schema: Schema, sample: str) -> None:
    documented: dict[str, Any] = vector(sample)
    (letter,) = json.loads(content(given_up(as_published(documented, schema)), schema))
    # The sample for CloudEvents lacks specversion, which CloudEvents requires, and the time of the last attempt.
    assert letter.keys() - {"specversion", "lastdeliveryattempttime"} == documented.keys()
    facts = [
        name for name in documented if name.lower() in {"deadletterreason", "deliveryattempts", "lastdeliveryoutcome"}
    ]
    assert len(facts) == 3
    assert [letter[name] for name in facts] == [documented[name] for name in facts]


def test_the_times_of_a_dead_letter_are_in_utc() -> None:
    (letter,) = json.loads(content(given_up(event()), Schema.EVENT_GRID))
    assert letter["publishTime"] == "2026-01-01T07:59:00+00:00"
    assert letter["lastDeliveryAttemptTime"] == "2026-01-01T07:59:30+00:00"


def test_an_event_that_was_never_attempted_has_no_outcome() -> None:
    unattempted = dataclasses.replace(given_up(event()), attempts=0, last_attempt=None, outcome="")
    (letter,) = json.loads(content(unattempted, Schema.EVENT_GRID))
    assert "lastDeliveryOutcome" not in letter
    assert "lastDeliveryAttemptTime" not in letter


def test_a_dead_letter_waits_for_storage_that_is_down(tmp_path: Path) -> None:
    async def main() -> tuple[list[float], int]:
        blobs = MemoryBlobs(failures=3)
        async with running_grid(tmp_path / "events", FakeEndpoints(statuses(400)), WEBHOOK, blobs=blobs) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(3600)
            assert grid.store.receivers() == set()
            return blobs.written_at, grid.dead_letters.written["to-webhook"]

    assert in_virtual_time(main()) == ([30.0], 1)


def test_a_dead_letter_is_dropped_when_storage_stays_down_for_four_hours(tmp_path: Path) -> None:
    async def main() -> tuple[int, set[str]]:
        blobs = MemoryBlobs(failures=1_000_000)
        async with running_grid(tmp_path / "events", FakeEndpoints(statuses(400)), WEBHOOK, blobs=blobs) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(4 * 3600)
            assert grid.store.receivers() == {"to-webhook"}
            await asyncio.sleep(60)
            return grid.dead_letters.dropped["to-webhook"], grid.store.receivers()

    assert in_virtual_time(main()) == (1, set())


def test_a_dead_letter_that_was_not_written_is_written_after_a_restart(tmp_path: Path) -> None:
    async def main() -> list[str]:
        refusing = FakeEndpoints(statuses(400))
        async with running_grid(tmp_path / "events", refusing, WEBHOOK, blobs=MemoryBlobs(failures=9)) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(1)
        blobs = MemoryBlobs()
        async with running_grid(tmp_path / "events", refusing, WEBHOOK, blobs=blobs):
            await asyncio.sleep(60)
        assert len(refusing.calls) == 1
        return [letter["deadLetterReason"] for letter in blobs.letters()]

    assert in_virtual_time(main()) == ["UndeliverableDueToHttpBadRequest"]


def test_a_dead_letter_that_waits_is_neither_delivered_again_nor_lost_by_a_restart(tmp_path: Path) -> None:
    async def main() -> tuple[int, list[float]]:
        failing, blobs = FakeEndpoints(statuses(500)), MemoryBlobs()
        async with running_grid(tmp_path / "events", failing, ONCE) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(100)
        async with running_grid(tmp_path / "events", failing, ONCE, blobs=blobs):
            await asyncio.sleep(3600)
        return len(failing.calls), blobs.written_at

    assert in_virtual_time(main()) == (1, [300.0])


def test_a_dead_letter_is_written_once_although_its_subscription_was_replaced(tmp_path: Path) -> None:
    async def main() -> list[float]:
        blobs = MemoryBlobs()
        async with running_grid(tmp_path / "events", FakeEndpoints(statuses(500)), ONCE, blobs=blobs) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(100)
            grid.subscribe(ONCE)
            await asyncio.sleep(3600)
        return blobs.written_at

    assert in_virtual_time(main()) == [300.0]


def test_the_time_scale_shortens_the_wait_for_a_dead_letter(tmp_path: Path) -> None:
    async def main() -> list[float]:
        blobs, failing = MemoryBlobs(), FakeEndpoints(statuses(500))
        async with running_grid(tmp_path / "events", failing, ONCE, blobs=blobs, scale=0.01) as grid:
            await grid.publish(TOPIC, [raw_event()])
            await asyncio.sleep(3600)
        return blobs.written_at

    assert in_virtual_time(main()) == [3.0]


def as_published(documented: dict[str, Any], schema: Schema) -> Event:
    """The sample's event before it was given up."""
    added = {"deadletterreason", "deliveryattempts", "lastdeliveryoutcome", "publishtime", "lastdeliveryattempttime"}
    return Event(schema, {name: value for name, value in documented.items() if name.lower() not in added})
