"""Fake and table keep the same promises of the StateStore port."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Iterator

import pytest

from tests.fakes import START, FakeStore
from tidegate.adapters.storage.table_state import TableState
from tidegate.errors import MalformedEvent, PermanentError, StateConflict
from tidegate.ports import AuditRow, Row, StateStore, Summary

KEY = "image:tidegatestaging/training/litter@sha256:ab#v1?x"


@pytest.fixture(params=["fake", pytest.param("table", marks=pytest.mark.stack)])
def store(request: pytest.FixtureRequest, fresh_name: Callable[[str], str]) -> Iterator[StateStore]:
    if request.param == "fake":
        yield FakeStore()
        return
    with contextlib.closing(request.getfixturevalue("account").tables()) as service:
        yield TableState(service, fresh_name("contract"))


def audit(sequence: int, **changes: str) -> AuditRow:
    texts = {"who": "event:1", "what": "ImagePushed", "why": "", "before": "", "after": "Testing", "evidence": ""}
    return AuditRow(sequence=sequence, at=START, **(texts | changes))


def summary(name: str, minute: int, **changes: object) -> Summary:
    since = START + datetime.timedelta(minutes=minute, microseconds=minute)
    entry = Summary(
        f"image:{name}", name, since, since, "Testing", "training/litter", ("v1", "latest"), "sha256:1", "pushed"
    )
    return dataclasses.replace(entry, **changes)  # type: ignore[arg-type]  # a test's own keyword arguments


def test_an_unknown_record_is_none_and_has_no_history(store: StateStore) -> None:
    assert store.load(KEY) is None
    assert list(store.history(KEY)) == []
    assert list(store.watched(START)) == []
    assert store.listed(state=None, repository=None, limit=10, cursor=None) == ([], None)
    assert store.find("a") is None


def test_what_is_saved_is_loaded_with_its_version(store: StateStore) -> None:
    wake_at = START + datetime.timedelta(seconds=1, microseconds=123456)
    row = Row(KEY, "image", '{"state": "Prüfung 🐚"}', wake_at=wake_at)
    etag = store.save(row, [audit(1)])
    assert store.load(KEY) == dataclasses.replace(row, etag=etag)


def test_a_record_that_was_there_already_is_not_created_again(store: StateStore) -> None:
    store.save(Row(KEY, "image", "first"), [audit(1)])
    with pytest.raises(StateConflict):
        store.save(Row(KEY, "image", "second"), [audit(2)])
    loaded = store.load(KEY)
    assert loaded is not None
    assert loaded.body == "first"
    assert len(store.history(KEY)) == 1


def test_a_stale_version_writes_neither_record_nor_audit(store: StateStore) -> None:
    first = store.save(Row(KEY, "image", "1"), [audit(1)])
    store.save(Row(KEY, "image", "2", first), [audit(2)])
    with pytest.raises(StateConflict):
        store.save(Row(KEY, "image", "lost", first), [audit(3)])
    loaded = store.load(KEY)
    assert loaded is not None
    assert loaded.body == "2"
    assert [row.sequence for row in store.history(KEY)] == [1, 2]


def test_a_version_of_a_record_that_is_gone_is_a_conflict(store: StateStore) -> None:
    etag = store.save(Row("other", "image", "1"), [])
    with pytest.raises(StateConflict):
        store.save(Row(KEY, "image", "1", etag), [audit(1)])


def test_a_transition_recorded_twice_is_a_conflict(store: StateStore) -> None:
    etag = store.save(Row(KEY, "image", "1"), [audit(1)])
    with pytest.raises(StateConflict):
        store.save(Row(KEY, "image", "2", etag), [audit(1)])
    loaded = store.load(KEY)
    assert loaded is not None
    assert loaded.body == "1"


def test_history_is_complete_and_in_order(store: StateStore) -> None:
    etag = store.save(Row(KEY, "image", "1"), [audit(2, why="later"), audit(1)])
    store.save(Row(KEY, "image", "2", etag), [audit(11), audit(3, evidence="https://e/1")])
    assert list(store.history(KEY)) == [audit(1), audit(2, why="later"), audit(3, evidence="https://e/1"), audit(11)]


def test_watched_names_records_that_were_put_there_before_a_time_and_no_others(store: StateStore) -> None:
    later = START + datetime.timedelta(seconds=1)
    assert list(store.watched(later)) == []
    store.save(Row("unwatched", "image", "1", wake_at=START), [audit(1)])
    store.watch("now", START)
    store.watch("now", START)
    store.watch("image:reg/app@sha256:ab#1", later)
    assert [(each.key, each.at) for each in store.watched(later)] == [("now", START)]
    found = {each.key: each.at for each in store.watched(later + datetime.timedelta(milliseconds=1))}
    assert found == {"now": START, "image:reg/app@sha256:ab#1": later}
    assert store.load("now") is None


def test_what_was_put_there_again_meanwhile_stays_watched(store: StateStore) -> None:
    later = START + datetime.timedelta(seconds=1)
    store.watch("a:1", START)
    [before] = store.watched(later)
    store.watch("a:1", START)
    store.unwatch(before)
    [now] = store.watched(later)
    for _ in range(2):
        store.unwatch(now)
        assert list(store.watched(later)) == []


def test_a_large_record_comes_back_whole(store: StateStore) -> None:
    body = "x" + "🐚ü" * 149_000
    store.save(Row(KEY, "image", body), [])
    loaded = store.load(KEY)
    assert loaded is not None
    assert loaded.body == body


def test_a_record_that_is_too_large_is_refused_and_not_stored(store: StateStore) -> None:
    with pytest.raises(PermanentError):
        store.save(Row(KEY, "image", "x" * 450_001), [audit(1)])
    assert store.load(KEY) is None
    assert list(store.history(KEY)) == []


def test_the_list_is_newest_first_whatever_the_order_of_writing(store: StateStore) -> None:
    for minute in (2, 0, 3, 1):
        store.list_entry(summary(f"e{minute}", minute))
    listed, cursor = store.listed(state=None, repository=None, limit=10, cursor=None)
    assert [each.id for each in listed] == ["e3", "e2", "e1", "e0"]
    assert listed[0] == summary("e3", 3)
    assert cursor is None


def test_pages_join_to_the_whole_list(store: StateStore) -> None:
    for minute in range(7):
        store.list_entry(summary(f"e{minute}", minute))
    assert [each.id for each in everything(store, limit=3)] == [f"e{minute}" for minute in reversed(range(7))]


def test_the_list_filters_by_state_and_repository(store: StateStore) -> None:
    store.list_entry(summary("a", 1, state="Promoted"))
    store.list_entry(summary("b", 2, state="Rejected", repository="it's/quoted"))
    store.list_entry(summary("c", 3, state="Rejected"))
    assert [each.id for each in everything(store, state="Rejected")] == ["c", "b"]
    assert [each.id for each in everything(store, state="Rejected", repository="it's/quoted")] == ["b"]
    assert [each.id for each in everything(store, state="x' or true or 'x' eq 'x")] == []


def test_the_list_of_a_flow_has_its_records_alone(store: StateStore) -> None:
    for minute, key in enumerate(("image:a", "image-test:a", "images:a", "model-delivery:a/b:1", "imag:e", "image:b")):
        store.list_entry(summary(f"e{minute}", minute, key=key))
    assert [each.key for each in everything(store, flow="image")] == ["image:b", "image:a"]
    assert [each.key for each in everything(store, flow="model-delivery", state="Testing")] == ["model-delivery:a/b:1"]
    assert everything(store, flow="model") == []


def test_an_entry_is_found_by_its_id_and_renewed_in_its_place(store: StateStore) -> None:
    store.list_entry(summary("a", 1))
    renewed = summary("a", 1, state="Promoted", updated=START + datetime.timedelta(hours=1), tags=())
    store.list_entry(renewed)
    store.list_entry(renewed)
    assert store.find("a") == renewed
    assert store.find("b") is None
    assert store.find("../a") is None
    assert everything(store) == [renewed]


def test_an_entry_written_late_does_not_hide_a_newer_one(store: StateStore) -> None:
    newer = summary("a", 1, state="Promoted", updated=START + datetime.timedelta(hours=1))
    store.list_entry(newer)
    store.list_entry(summary("a", 1, state="Testing"))
    assert store.find("a") == newer
    assert everything(store) == [newer]


def test_an_entry_whose_first_time_was_corrected_is_listed_once(store: StateStore) -> None:
    store.list_entry(summary("a", 5))
    moved = summary("a", 1, updated=START + datetime.timedelta(hours=1))
    store.list_entry(moved)
    assert everything(store) == [moved]


@pytest.mark.parametrize("cursor", ["", "nonsense", "e30=", "WzEsMl0=", "\udcff", "Ww=="])
def test_a_foreign_cursor_is_refused(store: StateStore, cursor: str) -> None:
    store.list_entry(summary("a", 1))
    with pytest.raises(MalformedEvent):
        store.listed(state=None, repository=None, limit=3, cursor=cursor)


def everything(
    store: StateStore,
    state: str | None = None,
    repository: str | None = None,
    limit: int = 2,
    flow: str | None = None,
) -> list[Summary]:
    found: list[Summary] = []
    cursor: str | None = None
    for _ in range(20):
        page, cursor = store.listed(state=state, repository=repository, limit=limit, cursor=cursor, flow=flow)
        assert len(page) <= limit
        found += page
        if cursor is None:
            return found
    raise AssertionError("the list does not end")
