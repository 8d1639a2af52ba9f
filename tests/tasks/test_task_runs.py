"""Records of runs survive a restart: an id never names another run, and no run stays unfinished for ever."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from local.cloud.task_runs import FINAL, RunStore, now

PLATFORM = {"os": "linux", "architecture": "amd64"}


def test_ids_count_for_each_registry_and_go_on_after_a_restart(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    assert [store.create(name, PLATFORM, 2).run_id for name in ("a", "a", "b")] == ["ca1", "ca2", "ca1"]
    assert RunStore(tmp_path).create("a", PLATFORM, 2).run_id == "ca3"


@pytest.mark.parametrize("status", sorted(FINAL))
def test_a_run_that_ended_is_the_same_after_a_restart(tmp_path: Path, status: str) -> None:
    store = RunStore(tmp_path)
    ended = store.save(dataclasses.replace(store.create("a", PLATFORM, 4), status=status, finish_time=now()))
    assert RunStore(tmp_path).get("a", "ca1") == ended


@pytest.mark.parametrize("status", ["Queued", "Started", "Running"])
def test_a_run_that_was_cut_off_has_erred_after_a_restart(tmp_path: Path, status: str) -> None:
    store = RunStore(tmp_path)
    store.save(dataclasses.replace(store.create("a", PLATFORM, 2), status=status))
    run = RunStore(tmp_path).get("a", "ca1")
    assert run is not None
    assert (run.status, run.error) == ("Error", "the stand-in was restarted")
    assert run.finish_time is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"registry": "a"}'])
def test_a_damaged_record_is_an_erred_run_whose_number_stays_taken(tmp_path: Path, text: str) -> None:
    RunStore(tmp_path).create("a", PLATFORM, 2)
    (tmp_path / "a" / "ca1.json").write_text(text)
    store = RunStore(tmp_path)
    run = store.get("a", "ca1")
    assert run is not None
    assert (run.status, run.error) == ("Error", "its record cannot be read")
    assert store.create("a", PLATFORM, 2).run_id == "ca2"


def test_the_newest_run_is_listed_first_beyond_nine(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    for _ in range(11):
        store.create("a", PLATFORM, 2)
    assert [run.run_id for run in store.of("a")][:3] == ["ca11", "ca10", "ca9"]
