"""The laws of both flows over a grid of every sample state and every sample event, and planted changes that must break one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from tests.flows.laws import LAWS, Decide, Grid, attempt_of, broken
from tests.flows.samples import FLOW, IMAGE_STATES, TAG_STATES, image_events, tag_events
from tidegate.flows.base import Decision, Publish
from tidegate.flows.images import image_messages as im
from tidegate.flows.images import image_states as st
from tidegate.flows.images import tag_ownership as own
from tidegate.flows.images.tag_ownership import TagOwnership

IMAGES = Grid(FLOW.decide, IMAGE_STATES, image_events)
TAGS = Grid(TagOwnership().decide, TAG_STATES, tag_events)
GRIDS = {"images": IMAGES, "tags": TAGS}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_a_law_holds_in_every_cell(grid: Grid, law: Callable[[Grid], list[str]]) -> None:
    assert law(grid) == []


def test_every_state_and_event_of_the_flows_is_in_the_grid() -> None:
    def names(alias: Any) -> set[str]:
        members = getattr(alias, "__value__", alias)
        parts = getattr(members, "__args__", ())
        return {name for part in parts for name in names(part)} if parts else {members.__name__}

    assert {type(each).__name__ for each in IMAGE_STATES.values()} == names(st.State)
    assert {type(each).__name__ for each in image_events(1).values()} == names(im.Event)
    assert {type(each).__name__ for each in TAG_STATES.values()} == names(own.State)
    assert {type(each).__name__ for each in tag_events(1).values()} == names(own.Event)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_every_event_means_something_in_some_state(grid: Grid) -> None:
    heard = set()
    for state in grid.states.values():
        for name, event in grid.events(attempt_of(state)).items():
            if grid.decide(state, event) != Decision(state):
                heard.add(type(event).__name__)
                heard.add(name)
    deaf = {type(event).__name__ for event in grid.events(1).values()} - heard
    assert deaf == set()


# Planted changes ---------------------------------------------------------------------------------------------------


def _any_attempt(decide: Decide) -> Decide:
    """Answers are taken whatever attempt they belong to."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        mine = dataclasses.replace(event, attempt=attempt_of(state)) if hasattr(event, "attempt") else event
        return decide(state, mine)

    return changed


def _starts_anew(decide: Decide) -> Decide:
    """Every state counts its attempts from one."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        step = decide(state, event)
        if attempt_of(step.state) == attempt_of(state):
            return step
        return dataclasses.replace(step, state=dataclasses.replace(step.state, attempt=1))

    return changed


def _loses_polls(decide: Decide) -> Decide:
    """A look that finds nothing is the last."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        step = decide(state, event)
        return Decision(step.state) if isinstance(event, im.ImageTestRunning) else step

    return changed


def _speaks_twice(decide: Decide) -> Decide:
    """A duplicate asks for the work again."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        step = decide(state, event)
        if isinstance(event, im.ImagePushed) and step == Decision(state) and isinstance(state, st.Inspecting):
            return Decision(state, (im.InspectImage(state.work.image, state.attempt),))
        return step

    return changed


def _leaves_an_end(decide: Decide) -> Decide:
    """An end is left because a tag was superseded."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        step = decide(state, event)
        if isinstance(event, own.TagSettled) and isinstance(step.state, st.Promoted) and event.result == "superseded":
            return Decision(st.Superseded(step.state.work, step.state.attempt, step.state.verdict))
        return step

    return changed


def _forgets_a_claim(decide: Decide) -> Decide:
    """A tag that joins replaces the others."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        step = decide(state, event)
        if isinstance(event, im.ImagePushed) and step.state != state:
            work = step.state.work
            kept = dataclasses.replace(work, claims=work.claims[-1:])
            return dataclasses.replace(step, state=dataclasses.replace(step.state, work=kept))
        return step

    return changed


def _takes_old_news(decide: Decide) -> Decide:
    """What became of an older push settles the newer one."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        newer = dataclasses.replace(event, order="9") if isinstance(event, own.TagSettled) else event
        return decide(state, newer)

    return changed


def _raises_on_strangers(decide: Decide) -> Decide:
    """An event that cannot happen in a state is an error."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        if isinstance(state, st.Ignored) and isinstance(event, im.ImportFailed):
            raise TypeError(event)
        return decide(state, event)

    return changed


def _forgets_the_verdict(decide: Decide) -> Decide:
    """An import that fails takes the verdict with it."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        step = decide(state, event)
        if isinstance(state, st.Importing) and isinstance(step.state, st.Errored):
            return Decision(dataclasses.replace(step.state, verdict=None), step.commands)
        return step

    return changed


def _publishes_on_duplicates(decide: Decide) -> Decide:
    """Whatever settles a tag is announced, known or not."""

    def changed(state: Any, event: Any) -> Decision[Any, Any]:
        step = decide(state, event)
        if isinstance(event, own.TagSettled) and isinstance(state, st.Promoted):
            news = Publish("Tidegate.ImagePromoted", "a:b", event.at, (), "id")
            return Decision(step.state, (*step.commands, news))
        return step

    return changed


PLANTED: dict[str, tuple[Callable[[Decide], Decide], str]] = {
    change.__name__.lstrip("_"): (change, law)
    for change, law in (
        (_any_attempt, "swayed_by_other_attempts"),
        (_starts_anew, "attempts_going_back"),
        (_loses_polls, "polls_that_stop"),
        (_speaks_twice, "not_idempotent"),
        (_leaves_an_end, "ends_left"),
        (_forgets_a_claim, "claims_lost"),
        (_takes_old_news, "settled_by_older_orders"),
        (_raises_on_strangers, "not_total"),
        (_forgets_the_verdict, "verdicts_changed"),
        (_publishes_on_duplicates, "not_idempotent"),
    )
}


@pytest.mark.parametrize(("change", "law"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_change_breaks_its_law(change: Callable[[Decide], Decide], law: str) -> None:
    changed = Grid(change(FLOW.decide), IMAGE_STATES, image_events)
    if law == "not_total":
        assert LAWS[law](changed) != []
    else:
        assert law in broken(changed)
