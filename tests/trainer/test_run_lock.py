"""Two trainers never write one run; a lock whose owner is gone is taken over."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import override

import pytest

from tests.trainer.children import take_and_die
from trainer.drill import CONTEXT
from trainer.places import Folder
from trainer.run_lock import NAME, LockedError, LostError, RunLock


@pytest.fixture
def place(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def lock(place: Folder) -> RunLock:
    return RunLock(place, stale_after=0.6, renew_every=0.1)


def lease(place: Folder, **changes: object) -> bytes:
    """What another process's lock looks like."""
    content = json.dumps(
        {"host": "other", "boot": "b", "pid": 1, "started": "1", "token": "t", "renewals": 0} | changes
    ).encode()
    place.write(NAME, [content])
    return content


class Answerless(Folder):
    """Storage whose answers are lost: what was asked is done, and the client that asks again is told that it was too late."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.loses = True
        self.lost = 0

    @override
    def create(self, name: str, data: bytes) -> bool:
        return super().create(name, data) and not self.loses

    @override
    def swap(self, name: str, expected: bytes, data: bytes) -> bool:
        loses = self.loses
        done = super().swap(name, expected, data)
        self.lost += loses and done
        return self.too_late() if loses and done else done

    def too_late(self) -> bool:
        return False


class Interrupted(Answerless):
    """The same, and nobody asks again."""

    @override
    def too_late(self) -> bool:
        raise OSError("connection reset")


def leave_a_lock(place: Folder) -> None:
    """As a process that was killed does."""
    child = CONTEXT.Process(target=take_and_die, args=(place,))
    child.start()
    child.join()
    assert (place.root / NAME).exists()


def test_a_second_trainer_is_refused_while_the_first_one_lives(place: Folder) -> None:
    first = lock(place)
    first.acquire(lambda _: None)
    with pytest.raises(LockedError, match=str(os.getpid())):
        lock(place).acquire(lambda _: None)
    first.check()
    first.release()
    second = lock(place)
    second.acquire(lambda _: None)
    second.release()
    assert not (place.root / NAME).exists()


def test_a_lock_of_another_machine_is_taken_over_when_it_is_not_renewed(place: Folder) -> None:
    lease(place)
    warnings: list[str] = []
    began = time.monotonic()
    mine = lock(place)
    mine.acquire(warnings.append)
    assert time.monotonic() - began >= 0.6
    assert "process 1 on other" in warnings[0]
    mine.release()


def test_a_lock_of_another_machine_that_is_renewed_is_respected(place: Folder) -> None:
    lease(place)
    threading.Timer(0.3, lease, (place,), {"renewals": 1}).start()
    with pytest.raises(LockedError):
        lock(place).acquire(lambda _: None)


def test_a_dead_process_of_this_machine_is_known_at_once(place: Folder) -> None:
    leave_a_lock(place)
    began = time.monotonic()
    mine = RunLock(place, 60.0, 60.0)
    mine.acquire(lambda _: None)
    assert time.monotonic() - began < 5
    mine.release()


def test_a_process_number_that_was_given_away_again_is_no_owner(place: Folder) -> None:
    leave_a_lock(place)
    owner = json.loads(place.read(NAME))
    place.write(NAME, [json.dumps(owner | {"pid": os.getpid(), "started": "1"}).encode()])
    mine = RunLock(place, 60.0, 60.0)
    mine.acquire(lambda _: None)
    mine.release()


@pytest.mark.parametrize(
    "content", [b'{"host": "oth', b"", b"null", b"[]", b"\xff\xfe", b'{"pid": "x"}', b"{" * 3000, b"%s"]
)
def test_a_lock_that_says_nothing_sensible_is_taken_over(content: bytes, place: Folder) -> None:
    leave_a_lock(place)
    owner = json.loads(place.read(NAME))
    place.write(NAME, [content.replace(b"%s", json.dumps(owner | {"pid": "x"}).encode())])
    mine = lock(place)
    mine.acquire(lambda _: None)
    mine.release()


def test_a_trainer_that_was_taken_over_writes_no_more_and_leaves_the_new_lock_alone(place: Folder) -> None:
    mine = lock(place)
    mine.acquire(lambda _: None)
    theirs = lease(place)
    with pytest.raises(LostError, match="process 1 on other"):
        mine.check()
    mine.release()
    assert place.read(NAME) == theirs


def test_of_many_that_take_over_at_once_one_wins(place: Folder) -> None:
    lease(place)
    winners: list[RunLock] = []
    refused: list[str] = []

    def try_it() -> None:
        candidate = lock(place)
        try:
            candidate.acquire(lambda _: None)
            winners.append(candidate)
        except LockedError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=try_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1, refused
    winners[0].check()
    winners[0].release()


def within_10_s(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def is_renewed(place: Folder) -> bool:
    before = place.read(NAME)
    return within_10_s(lambda: place.read(NAME) != before)


@pytest.mark.parametrize("storage", [Answerless, Interrupted])
def test_an_answer_that_is_lost_costs_nobody_the_lock(storage: type[Answerless], tmp_path: Path) -> None:
    place = storage(tmp_path)
    mine = lock(place)
    mine.acquire(lambda _: None)
    assert within_10_s(lambda: place.lost > 0)
    place.loses = False
    for _ in range(2):  # it is renewed again and again, so that nobody takes it for stale
        assert is_renewed(place)
        mine.check()
    with pytest.raises(LockedError):
        lock(place).acquire(lambda _: None)
    mine.release()
    assert not (tmp_path / NAME).exists()


def test_a_stale_lock_is_taken_over_whether_or_not_the_answer_comes(tmp_path: Path) -> None:
    place = Answerless(tmp_path)
    lease(place)
    warnings: list[str] = []
    mine = lock(place)
    mine.acquire(warnings.append)
    mine.check()
    assert len(warnings) == 1
    mine.release()
