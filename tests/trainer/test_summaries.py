"""A log that is gone on with has every step once, whatever a killed process left at its end or beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.summaries import CUT, Summaries, cut, scalars


@pytest.fixture
def logged(tmp_path: Path) -> Path:
    """The event file of steps 1 to 5."""
    summaries = Summaries(tmp_path, 0)
    for step in range(1, 6):
        summaries.write("train", step, {"loss": step / 10})
    summaries.close()
    [file] = (tmp_path / "train").glob("events.*")
    return file


def steps(logged: Path) -> list[int]:
    return [step for step, _ in scalars(logged.parent)["train/loss"]]


def test_what_lies_beyond_the_step_is_cut_off(logged: Path) -> None:
    cut(logged.parent, 3)
    assert steps(logged) == [1, 2, 3]
    assert [each.name for each in logged.parent.iterdir()] == [logged.name]


@pytest.mark.parametrize("end", [b"\x00" * 64, b"\x07" * 3, b"\xff" * 200, b""], ids=["zeros", "short", "ones", "torn"])
def test_a_rotten_end_is_cut_off_and_all_before_it_stays(logged: Path, end: bytes) -> None:
    """Zeros: what some file systems show where a machine died before its last pages were written."""
    whole = logged.read_bytes()
    logged.write_bytes(whole + end if end else whole[:-3])
    cut(logged.parent, 100)
    assert steps(logged) == [1, 2, 3, 4, 5][: 5 if end else 4]
    assert whole.startswith(logged.read_bytes())


def test_a_record_that_changed_on_the_medium_ends_what_is_kept(logged: Path) -> None:
    content = bytearray(logged.read_bytes())
    content[-20] ^= 1
    logged.write_bytes(content)
    cut(logged.parent, 100)
    assert steps(logged) == [1, 2, 3, 4]


def test_tensorboard_reads_nothing_of_a_cut_that_was_killed_before_its_rename(logged: Path) -> None:
    from tensorboard.backend.event_processing.io_wrapper import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
        IsSummaryEventsFile,
    )

    assert IsSummaryEventsFile(str(logged))
    assert not IsSummaryEventsFile(str(logged.with_name(CUT)))
    logged.with_name(CUT).write_bytes(logged.read_bytes())
    cut(logged.parent, 2)
    assert [each.name for each in logged.parent.iterdir()] == [logged.name]
    assert steps(logged) == [1, 2]
