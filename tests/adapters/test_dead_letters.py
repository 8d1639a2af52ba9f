"""Event Grid's dead letters are read, paged and taken out of their blobs like our own."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from tests.fakes import START
from tidegate.adapters.storage import event_grid_letters, write_once
from tidegate.adapters.storage.dead_letters import DeadLetters
from tidegate.adapters.storage.storage_account import StorageAccount
from tidegate.flows.alerts.letter_watch import Letters, Mark

pytestmark = pytest.mark.stack

FOLDER = "ON-IMAGE-PUSHED/2026/3/2/8"
LONG_AGO = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=20)
DAY = "{0.year}/{0.month}/{0.day}".format(datetime.datetime.now(datetime.UTC))


def event_grid_event(name: str, **fields: Any) -> dict[str, Any]:
    """As in the documentation of Event Grid's dead-lettering, Event Grid schema."""
    return {
        "id": name,
        "eventTime": "2026-03-02T08:00:00.1234567Z",
        "eventType": "Microsoft.ContainerRegistry.ImagePushed",
        "data": {"action": "push"},
        "deadLetterReason": "MaxDeliveryAttemptsExceeded",
        "deliveryAttempts": 3,
        "lastDeliveryOutcome": "NotFound",
        "publishTime": "2026-03-02T08:00:01.0265758Z",
        "lastDeliveryAttemptTime": "2026-03-02T08:10:01.0465788Z",
    } | fields


CLOUD_EVENT = {
    "id": "cloud",
    "source": "/registries/x",
    "type": "Microsoft.ContainerRegistry.ImagePushed",
    "data": {"publishTime": "kept: it is the sender's"},
    "deadletterreason": "UndeliverableDueToHttpBadRequest",
    "deliveryattempts": 1,
    "lastdeliveryoutcome": "BadRequest",
    "publishtime": "2026-03-02T09:00:00.4018726Z",
}


@pytest.fixture
def container(account: StorageAccount, fresh_name: Callable[[str], str]) -> Iterator[ContainerClient]:
    with contextlib.closing(account.blobs()) as service:
        yield service.create_container(fresh_name("letters"))


def put(container: ContainerClient, name: str, document: object) -> None:
    assert write_once.create(container, name, json.dumps(document).encode(), "application/json")


def test_an_array_and_a_single_event_of_both_schemas_are_letters(container: ContainerClient) -> None:
    put(container, f"{FOLDER}/one.json", [event_grid_event("a"), event_grid_event("b")])
    put(container, f"{FOLDER}/two.json", CLOUD_EVENT)
    letters, cursor = DeadLetters(container).page(10, None)
    assert cursor is None
    by_name = {json.loads(letter.body)["id"]: letter for letter in letters}
    assert sorted(by_name) == ["a", "b", "cloud"]
    assert by_name["a"].reason == "Event Grid: MaxDeliveryAttemptsExceeded (attempts: 3, last outcome: NotFound)"
    assert by_name["a"].at == datetime.datetime(2026, 3, 2, 8, 10, 1, 46578, tzinfo=datetime.UTC)
    assert by_name["cloud"].at == datetime.datetime(2026, 3, 2, 9, 0, 0, 401872, tzinfo=datetime.UTC)
    assert json.loads(by_name["cloud"].body) == {key: CLOUD_EVENT[key] for key in ("id", "source", "type", "data")}


def test_a_letter_is_found_by_the_id_it_is_listed_with(container: ContainerClient) -> None:
    put(container, f"{FOLDER}/one.json", [event_grid_event("a"), event_grid_event("b")])
    letters, _ = DeadLetters(container).page(10, None)
    assert [DeadLetters(container).one(letter.id) for letter in letters] == list(letters)


def test_taking_one_event_out_leaves_the_others_and_the_last_takes_the_blob(container: ContainerClient) -> None:
    dead = DeadLetters(container)
    put(container, f"{FOLDER}/one.json", [event_grid_event("a"), event_grid_event("b")])
    first, second = dead.page(10, None)[0]
    dead.remove(first.id)
    dead.remove(first.id)
    assert dead.page(10, None)[0] == [second]
    dead.remove(second.id)
    dead.remove(second.id)
    assert list(container.list_blobs()) == []


def test_the_newest_day_comes_first_across_subscriptions(container: ContainerClient) -> None:
    dead = DeadLetters(container)
    put(container, "B/2026/3/10/8/x.json", event_grid_event("tenth"))
    put(container, "A/2026/3/9/8/x.json", event_grid_event("ninth"))
    put(container, "A/2025/12/31/8/x.json", event_grid_event("last year"))
    dead.park("ours", "malformed", '{"id": "ours"}', START + datetime.timedelta(days=9))
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(9):
        page, cursor = dead.page(1, cursor)
        seen += [json.loads(letter.body)["id"] for letter in page]
        if cursor is None:
            break
    assert seen == ["ours", "tenth", "ninth", "last year"]


def test_what_is_no_letter_is_shown_or_passed_over_but_breaks_nothing(container: ContainerClient) -> None:
    write_once.create(container, f"{FOLDER}/broken.json", b"{not json", "application/json")
    write_once.create(container, "parked/2026/3/2/strange.json", b"[]", "application/json")
    write_once.create(container, "README.txt", b"hello", "text/plain")
    write_once.create(container, "notes/2026/3/2/x.txt", b"hello", "text/plain")
    letters, _ = DeadLetters(container).page(10, None)
    assert {letter.body: letter.reason for letter in letters} == {
        "{not json": "not an event",
        "[]": "not a letter of Tidegate's",
    }


def test_a_parking_that_broke_off_is_completed_and_told_once(container: ContainerClient) -> None:
    write_once.create(container, "parked-ids/id-1", b"parked/2026/3/2/id-1.json", "text/plain")
    dead = DeadLetters(container)
    assert dead.park("id-1", "malformed", "{}", START + datetime.timedelta(days=1)) is True
    assert dead.park("id-1", "malformed", "{}", START + datetime.timedelta(days=2)) is False
    assert [blob.name for blob in container.list_blobs("parked/")] == ["parked/2026/3/2/id-1.json"]


def test_an_id_that_is_no_name_is_parked_under_its_hash(container: ContainerClient) -> None:
    dead = DeadLetters(container)
    assert dead.park("../../x y", "malformed", "{}", START)
    (letter,) = dead.page(10, None)[0]
    assert letter.id.startswith("h.")
    assert dead.one(letter.id) == dead.one("../../x y") == letter
    dead.remove(letter.id)
    assert dead.page(10, None) == ([], None)


def test_an_id_names_only_blobs_of_event_grids_shape() -> None:
    ours = event_grid_letters.letters("parked/2026/3/2/id-1.json", b"{}", START)
    assert event_grid_letters.place(ours[0].id) is None


def test_what_event_grid_wrote_after_a_mark_is_told_in_order_and_only_once(container: ContainerClient) -> None:
    letters = DeadLetters(container)
    names = [f"{top}/{DAY}/{hour}/{each}.json" for top, hour, each in (("A", 9, "z"), ("B", 10, "y"), ("A", 10, "x"))]
    for name in names:
        put(container, name, [event_grid_event(name), event_grid_event(f"{name}-2")])
    letters.park("ours", "malformed", "{}", datetime.datetime.now(datetime.UTC))
    after, soon = Mark(LONG_AGO, ""), datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)
    first = letters.arrived(after, soon, 2)
    rest = letters.arrived(first.mark, soon, 10)
    assert (len(first.letters), first.more, rest.more) == (2, True, False)
    told = [letter.name for letter in (*first.letters, *rest.letters)]
    assert sorted(told) == sorted(name.removesuffix(".json") for name in names)
    assert {letter.events for letter in first.letters} == {2}
    assert letters.one(first.letters[0].id) is not None, "a letter that is told of cannot be found"
    assert letters.arrived(rest.mark, soon, 10) == Letters((), rest.mark, more=False)
    assert letters.arrived(after, LONG_AGO, 10).letters == ()


def test_a_blob_that_a_replay_made_smaller_is_no_news(container: ContainerClient) -> None:
    letters = DeadLetters(container)
    put(container, f"PUSHED/{DAY}/1/a.json", [event_grid_event("one"), event_grid_event("two")])
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)
    found = letters.arrived(Mark(LONG_AGO, ""), soon, 10)
    letters.remove(found.letters[0].id)
    assert len(letters.page(10, None)[0]) == 1
    assert letters.arrived(found.mark, soon, 10).letters == ()


def test_without_a_container_nothing_arrived(container: ContainerClient) -> None:
    container.delete_container()
    assert DeadLetters(container).arrived(Mark(LONG_AGO, ""), LONG_AGO, 10).letters == ()
