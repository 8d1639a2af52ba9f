"""Dead letters of Event Grid: each is told once, whatever the timer and the queue do."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from tests.alerts.samples import NOW
from tests.alerts.world import POLICY, JobWorld
from tests.fakes.faults import Fault
from tests.flows.laws import Grid, attempts_going_back, not_idempotent, not_total, swayed_by_other_attempts
from tidegate.composition import CODEC
from tidegate.flows.alerts.letter_watch import (
    FIRST_LOOK,
    Letter,
    Letters,
    LettersFound,
    LetterWatch,
    LookDue,
    LookForLetters,
    Mark,
    Watching,
)
from tidegate.flows.base import CommandErrored, CommandRefused

LETTER = Letter("RUN-STATUS-CHANGED/2026/3/2/8/a", "eg.x.0", 1, "Event Grid: MaxDeliveryAttemptsExceeded", NOW)


def events(attempt: int) -> dict[str, Any]:
    mark = Mark(NOW, LETTER.name)
    return {
        "due": LookDue(NOW),
        "found": LettersFound(attempt, Letters((LETTER,), mark, more=False), NOW),
        "found-more": LettersFound(attempt, Letters((LETTER,), mark, more=True), NOW),
        "found-none": LettersFound(attempt, Letters((), mark, more=False), NOW),
        "refused": CommandRefused(attempt, "403", NOW),
        "errored": CommandErrored(attempt, "no answer", NOW),
    }


GRID = Grid(
    LetterWatch(POLICY).decide,
    {
        "new": Watching(),
        "looking": Watching(Mark(NOW, ""), 3, is_looking=True),
        "resting": Watching(Mark(NOW, LETTER.name), 3),
    },
    events,
)


@pytest.mark.parametrize(
    "law", [not_total, not_idempotent, swayed_by_other_attempts, attempts_going_back], ids=lambda law: law.__name__
)
def test_a_law_is_kept(law: Any) -> None:
    assert law(GRID) == []


def test_every_decision_can_be_stored_and_explained() -> None:
    for _, state, event in GRID.cells():
        step = GRID.decide(state, event)
        assert CODEC.decode(CODEC.encode(step.state)) == step.state
        assert [CODEC.decode(CODEC.encode(command)) for command in step.commands] == list(step.commands)
        LetterWatch(POLICY).explain(event, step.state)


def arrives(world: JobWorld, number: int, minutes_ago: float = 5, folder: str = "RUN-STATUS-CHANGED") -> Letter:
    written = world.clock.now() - datetime.timedelta(minutes=minutes_ago)
    letter = Letter(f"{folder}/2026/3/2/8/{number:04d}", f"eg.{number}.0", 1, "Event Grid: Timeout", written)
    world.evidence.arrivals.append(letter)
    return letter


def reconcile(world: JobWorld) -> None:
    world.intake.reconcile()
    world.work(world.later(1))


def told(world: JobWorld) -> list[str]:
    world.work()
    words = [word.strip(",") for mail in world.email.mails for word in mail.text.split()]
    return [each.name for each in world.evidence.arrivals for _ in range(words.count(each.name))]


def test_each_letter_is_told_once_however_often_the_timer_looks() -> None:
    world = JobWorld()
    first, second = arrives(world, 1), arrives(world, 2)
    for _ in range(3):
        reconcile(world)
    third = arrives(world, 3)
    for _ in range(3):
        reconcile(world)
    world.work()
    ids = [row.why for key, rows in world.store.audit.items() for row in rows.values() if key.startswith("incident:")]
    assert len(ids) == 3
    assert set(told(world)) == {first.name, second.name, third.name}


def test_a_letter_that_may_still_be_overtaken_waits_for_the_next_look() -> None:
    world = JobWorld()
    arrives(world, 2, minutes_ago=0)
    reconcile(world)
    assert not [key for key in world.store.rows if key.startswith("incident:")], "told too soon"
    arrives(world, 1, minutes_ago=0.01)  # it appears late, and was written before
    world.clock.advance(900)
    reconcile(world)
    assert len(set(told(world))) == 2


def test_an_installation_does_not_begin_with_old_news() -> None:
    world = JobWorld()
    arrives(world, 1, minutes_ago=3 * 24 * 60)
    reconcile(world)
    assert told(world) == []


def test_a_thousand_letters_are_few_mails_that_name_them_all() -> None:
    world = JobWorld()
    letters = {arrives(world, number).name for number in range(1000)}
    reconcile(world)
    assert set(told(world)) == letters
    assert len(world.email.mails) <= 12


@pytest.mark.parametrize("fault", [Fault.TRANSIENT, Fault.PERMANENT])
def test_a_look_that_fails_tells_of_the_letter_later(fault: Fault) -> None:
    broken = True
    world = JobWorld(fault=lambda _, method: fault if broken and method == "arrived" else Fault.OK)
    letter = arrives(world, 1)
    world.intake.reconcile()
    world.work(world.later(600))
    assert world.email.mails == []
    broken = False
    reconcile(world)
    assert set(told(world)) == {letter.name}


def test_letters_of_two_subscriptions_are_two_incidents() -> None:
    world = JobWorld()
    arrives(world, 1)
    arrives(world, 2, folder="IMAGE-PUSHED")
    reconcile(world)
    world.work()
    assert len(world.email.mails) == 2
    assert all(mail.severity == "warning" for mail in world.email.mails)


def test_a_look_begins_where_the_last_one_ended() -> None:
    flow = LetterWatch(POLICY)
    looking = flow.decide(Watching(), LookDue(NOW))
    [look] = looking.commands
    assert look == LookForLetters(Mark(NOW - FIRST_LOOK, ""), 1)
    mark = Mark(NOW, LETTER.name)
    found = flow.decide(looking.state, LettersFound(1, Letters((LETTER,), mark, more=False), NOW))
    [again] = flow.decide(found.state, LookDue(NOW)).commands
    assert again == LookForLetters(mark, 2)
