"""What every flow keeps in every state for every event; each law gives the cells of the grid that break it, as text."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tidegate.flows.base import Decision
from tidegate.flows.images import image_states as st
from tidegate.flows.images.image_messages import ImagePushed, PromotionRequested
from tidegate.flows.images.tag_ownership import TagSettled

type Decide = Callable[[Any, Any], Decision[Any, Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class Grid:
    """A flow's decision with the states and events it is tried on."""

    decide: Decide
    states: Mapping[str, Any]
    events: Callable[[int], Mapping[str, Any]]
    """Events whose answers name the given attempt."""

    def cells(self) -> Iterator[tuple[str, Any, Any]]:
        """Every state with every event: of the state's attempt, of the one before it, and of one that never was."""
        for state_name, state in self.states.items():
            attempt = attempt_of(state)
            for of in (attempt, attempt - 1, attempt + 7):
                for event_name, event in self.events(of).items():
                    yield f"{state_name} x {event_name} (attempt {of} of {attempt})", state, event


def attempt_of(state: Any) -> int:
    return int(getattr(state, "attempt", 0))


def not_total(grid: Grid) -> list[str]:
    """A decision is made about everything."""
    broken = []
    for name, state, event in grid.cells():
        try:
            grid.decide(state, event)
        except Exception as error:  # noqa: BLE001  # whatever is raised breaks the law
            broken.append(f"{name}: {error!r}")
    return broken


def not_idempotent(grid: Grid) -> list[str]:
    """An event that comes twice changes nothing the second time, and asks for nothing."""
    broken = []
    for name, state, event in grid.cells():
        once = grid.decide(state, event).state
        if grid.decide(once, event) != Decision(once):
            broken.append(name)
    return broken


def swayed_by_other_attempts(grid: Grid) -> list[str]:
    """An answer to another attempt changes nothing."""
    return [
        name
        for name, state, event in grid.cells()
        if getattr(event, "attempt", attempt_of(state)) != attempt_of(state)
        and grid.decide(state, event) != Decision(state)
    ]


def attempts_going_back(grid: Grid) -> list[str]:
    """The number of the attempt never falls; commands carry the number of the state they were decided with."""
    broken = []
    for name, state, event in grid.cells():
        step = grid.decide(state, event)
        after = attempt_of(step.state)
        asked = [getattr(command, "command", command) for command in step.commands]
        numbers = {getattr(command, "attempt", after) for command in asked}
        if after < attempt_of(state) or numbers - {after}:
            broken.append(name)
    return broken


_WAYS_OUT = {
    st.Promoted: (),
    st.Ignored: (),
    st.Rejected: (ImagePushed, PromotionRequested),
    st.Superseded: (ImagePushed, PromotionRequested),
    st.Errored: (ImagePushed, PromotionRequested),
}


def ends_left(grid: Grid) -> list[str]:
    """An end is left only by the events named here: never by an answer, never by what becomes of a tag."""
    return [
        name
        for name, state, event in grid.cells()
        if type(state) in _WAYS_OUT
        and not isinstance(event, _WAYS_OUT[type(state)])
        and type(grid.decide(state, event).state) is not type(state)
    ]


def claims_lost(grid: Grid) -> list[str]:
    """A tag that an image was pushed under stays with it, and its order never falls."""
    broken = []
    for name, state, event in grid.cells():
        before = _orders(state)
        after = _orders(grid.decide(state, event).state)
        if any(order > after.get(tag, "") for tag, order in before.items()):
            broken.append(name)
    return broken


def _orders(state: Any) -> dict[str, str]:
    work = getattr(state, "work", None)
    return {claim.tag: claim.order for claim in work.claims} if work else {}


def verdicts_changed(grid: Grid) -> list[str]:
    """A verdict once known stays, unless somebody takes responsibility for the image."""
    broken = []
    for name, state, event in grid.cells():
        before, after = getattr(state, "verdict", None), getattr(grid.decide(state, event).state, "verdict", None)
        if before is not None and after != before and getattr(after, "kind", "") != "overridden":
            broken.append(name)
    return broken


def settled_by_older_orders(grid: Grid) -> list[str]:
    """What became of an older push of a tag says nothing about a newer one."""
    broken = []
    for name, state, event in grid.cells():
        if isinstance(event, TagSettled) and any(
            tag == event.tag and order > event.order for tag, order in _orders(state).items()
        ):
            before = [claim for claim in state.work.claims if claim.tag == event.tag]
            after = [claim for claim in grid.decide(state, event).state.work.claims if claim.tag == event.tag]
            if before != after:
                broken.append(name)
    return broken


def polls_that_stop(grid: Grid) -> list[str]:
    """'Still running' leads to another look, another try or an end: never to silence."""
    broken = []
    for name, state, event in grid.cells():
        if type(event).__name__ not in ("ImageTestRunning", "ImportRunning"):
            continue
        step = grid.decide(state, event)
        if step.state != state and not step.commands:
            broken.append(name)
    return broken


LAWS: Mapping[str, Callable[[Grid], list[str]]] = {
    law.__name__: law
    for law in (
        not_total,
        not_idempotent,
        swayed_by_other_attempts,
        attempts_going_back,
        ends_left,
        claims_lost,
        verdicts_changed,
        settled_by_older_orders,
        polls_that_stop,
    )
}


def broken(grid: Grid) -> dict[str, list[str]]:
    """Every law that is broken, with the cells that break it."""
    found = {name: law(grid) for name, law in LAWS.items()}
    return {name: cells for name, cells in found.items() if cells}
