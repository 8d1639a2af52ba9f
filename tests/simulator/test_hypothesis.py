"""Hypothesis drives a run: it chooses where a schedule departs from the usual, and shrinks what fails."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

from tests.simulator.bugs import PLANTED
from tests.simulator.installation import NO_BUG, Bug
from tests.simulator.run import Run
from tests.simulator.scenarios import SCENARIOS, Scenario

departures = some.dictionaries(some.integers(0, 250), some.integers(1, 40), max_size=6)
scenarios = some.sampled_from(list(SCENARIOS.values()))
bounded = settings(max_examples=120, database=None, deadline=None, report_multiple_bugs=False, derandomize=True)


def _play(scenario: Scenario, departures: dict[int, int], bug: Bug = NO_BUG) -> None:
    def choose(number: int, run: Run) -> int:
        wanted = departures.get(number, 0)
        return wanted % len(run.options()) if wanted else 0

    Run(scenario, bug).play(choose)


@bounded
@given(scenarios, departures)
def test_nothing_goes_wrong_where_hypothesis_interferes(scenario: Scenario, departures: dict[int, int]) -> None:
    _play(scenario, departures)


def test_hypothesis_finds_an_outbox_that_is_saved_too_late() -> None:
    planted = PLANTED["saves the outbox after the state"]

    @settings(bounded, max_examples=400, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(departures)
    def never_fails(departures: dict[int, int]) -> None:
        _play(planted.scenario, departures, planted.bug)

    with pytest.raises(AssertionError, match="G2"):
        never_fails()
