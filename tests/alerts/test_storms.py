"""Storms: mails within the rate, every failed run in one of them, records that do not grow with the storm."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable

import pytest

from tests.alerts.flow_loop import FlowLoop, key_of
from tests.alerts.world import POLICY
from tidegate.flows.alerts.alert_policy import Route
from tidegate.flows.alerts.incident import Closed, Muted, Recovered

TOTAL = 10_000
LARGEST = 120_000
"""Characters of a record; a table entity holds ten times as much."""
MOST_NAMES = 1_000

DIFFERENT: Callable[[int], str] = "exp-{}".format
ONE: Callable[[int], str] = lambda _number: "exp"  # noqa: E731  beside its sibling, a lambda says most
FEW: Callable[[int], str] = lambda number: f"exp-{number % 40}"  # noqa: E731


@pytest.mark.parametrize("experiment", [DIFFERENT, ONE, FEW], ids=["different", "one", "forty"])
@pytest.mark.parametrize("spread", [0, 3600], ids=["at-once", "over-an-hour"])
def test_ten_thousand_failures_stay_within_the_rate_and_each_is_in_a_mail(
    experiment: Callable[[int], str], spread: int
) -> None:
    loop = FlowLoop()
    largest = 0
    for number in range(TOTAL):
        loop.fails(f"r{number}", experiment(number))
        loop.until(loop.now + datetime.timedelta(seconds=spread / TOTAL))
        if number % 1000 == 999:
            largest = max(largest, loop.largest())
    loop.until()
    assert loop.named() == {f"r{number}" for number in range(TOTAL)}
    assert largest < LARGEST
    _within_the_rate(loop)
    assert max(len(loop.names(mail)) for _, mail in loop.mails) <= MOST_NAMES


def test_each_failure_of_a_storm_is_named_once() -> None:
    loop = FlowLoop()
    for number in range(3_000):
        loop.fails(f"r{number}", DIFFERENT(number))
    loop.until()
    names = [name for _, mail in loop.mails for name in loop.names(mail)]
    assert len(names) == len(set(names))


def test_what_fails_while_people_want_to_hear_nothing_is_named_when_that_time_is_over() -> None:
    loop = FlowLoop()
    loop.fails("r0", "exp")
    loop.until(loop.now + datetime.timedelta(minutes=5))
    until = loop.now + datetime.timedelta(days=1)
    loop.tell(key_of("exp"), Muted(until, "a person", loop.now))
    largest = 0
    for number in range(1, 2_500):
        loop.fails(f"r{number}", "exp")
        loop.until(loop.now + datetime.timedelta(seconds=30))
        largest = max(largest, loop.largest())
    assert len(loop.mails) == 1, "said something while it was muted"
    loop.until()
    assert loop.mails[1][0] >= until
    assert loop.named() == {f"r{number}" for number in range(2_500)}
    assert largest < LARGEST
    loop.fails("last", "exp")
    loop.until()
    names = [name for _, mail in loop.mails for name in loop.names(mail)]
    assert "last" in names
    assert len(names) == len(set(names)), "told again"
    _within_the_rate(loop)


def test_an_incident_that_ends_while_it_is_muted_still_names_what_nobody_heard_of() -> None:
    loop = FlowLoop()
    loop.fails("r0", "exp")
    loop.until(loop.now + datetime.timedelta(minutes=5))
    until = loop.now + datetime.timedelta(days=1)
    loop.tell(key_of("exp"), Muted(until, "a person", loop.now))
    for number in range(1, 450):
        loop.fails(f"r{number}", "exp")
    loop.until(loop.now + datetime.timedelta(hours=1))
    loop.tell(key_of("exp"), Recovered("good", loop.now))
    assert len(loop.mails) == 1
    loop.until()
    assert loop.mails[1][0] >= until
    assert isinstance(loop.states[key_of("exp")], Closed)
    assert loop.named() == {f"r{number}" for number in range(450)}


def test_an_incident_that_ends_while_it_is_muted_and_has_nothing_to_say_says_nothing() -> None:
    loop = FlowLoop()
    loop.fails("r0", "exp")
    loop.until(loop.now + datetime.timedelta(minutes=5))
    loop.tell(key_of("exp"), Muted(loop.now + datetime.timedelta(days=1), "a person", loop.now))
    loop.tell(key_of("exp"), Recovered("good", loop.now + datetime.timedelta(minutes=1)))
    loop.until()
    assert len(loop.mails) == 1
    assert isinstance(loop.states[key_of("exp")], Closed)


def test_a_muted_incident_that_goes_on_for_two_days_keeps_no_page_twice() -> None:
    loop = FlowLoop()
    total = 0
    for _ in range(2):
        loop.fails(f"r{total}", "exp")
        total += 1
        loop.until(loop.now + datetime.timedelta(hours=5))
        loop.tell(key_of("exp"), Muted(loop.now + datetime.timedelta(days=1), "a person", loop.now))
        for _ in range(401):
            loop.fails(f"r{total}", "exp")
            total += 1
        loop.until(loop.now + datetime.timedelta(hours=25))
    loop.until()
    assert loop.named() == {f"r{number}" for number in range(total)}


def test_names_that_are_kept_twice_in_one_muted_time_lie_in_pages_of_their_own() -> None:
    """Another cause that concerns other people is told at once, with all that was kept; what fails then is kept anew."""
    quota = Route("quota", ("platform@team.example",), causes=("quota",))
    loop = FlowLoop(dataclasses.replace(POLICY, routes=(quota, *POLICY.routes)))
    loop.fails("r0", "exp")
    loop.until(loop.now + datetime.timedelta(minutes=5))
    loop.tell(key_of("exp"), Muted(loop.now + datetime.timedelta(days=1), "a person", loop.now))
    total = 1
    for _ in range(2):
        for _ in range(250):
            loop.fails(f"r{total}", "exp")
            total += 1
        loop.fails(f"r{total}", "exp", log="OutOfQuota: 6/6")
        total += 1
    loop.until()
    assert loop.named() == {f"r{number}" for number in range(total)}


def _within_the_rate(loop: FlowLoop) -> None:
    times = [at for at, _ in loop.mails]
    for place, at in enumerate(times):
        within = sum((each - at).total_seconds() < POLICY.within for each in times[place:])
        assert within <= POLICY.mails, "more mails than the rate allows"
