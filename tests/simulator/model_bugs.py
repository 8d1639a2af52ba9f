"""Planted bugs around an endpoint: the product with one part of it done wrong, for every invariant C1-C9.

Each is made from outside, by putting a wrong part in the place of the right one; the product's code is not touched.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, override

from tests.simulator.bugs import _SavesTheOutboxLater, _Wrong
from tests.simulator.explore import Bounds
from tests.simulator.model_installation import ModelBug
from tests.simulator.model_scenarios import MODEL_SCENARIOS, ModelScenario, Said, want
from tidegate.flows.base import After, Decision, Tell
from tidegate.flows.endpoints import endpoint_book as books
from tidegate.flows.endpoints import endpoint_states as es
from tidegate.flows.endpoints import rollout_messages as rm
from tidegate.flows.endpoints.endpoint_rollout import EndpointRollout
from tidegate.model_effects import ModelEffects


@dataclasses.dataclass(frozen=True, slots=True)
class PlantedModelBug:
    """A bug, the invariant it breaks, and where the exhaustive driver looks for it."""

    bug: ModelBug
    invariant: str
    scenario: ModelScenario
    bounds: Bounds = dataclasses.field(default_factory=Bounds)


def _tampered(
    change: Callable[[Any, Any, Decision[Any, Any]], Decision[Any, Any]],
) -> Callable[[EndpointRollout], Any]:
    """The flow, with what it decides changed."""
    return lambda flow: _Wrong(flow, lambda decide, state, event: change(state, event, decide(state, event)))


def _asked(step: Decision[Any, Any], change: Callable[[Any], Any]) -> Decision[Any, Any]:
    changed = (change(each) for each in step.commands)
    return Decision(step.state, tuple(each for each in changed if each is not None))


def _deploys_the_tag(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    def change(command: Any) -> Any:
        if isinstance(command, rm.CreateDeployment):
            latest = dataclasses.replace(command.candidate, image="tidegatehealthy.azurecr.io/scoring:latest")
            return dataclasses.replace(command, candidate=latest)
        return command

    return _asked(step, change)


def _skips_the_smoke_test(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    """All of the traffic as soon as the deployment is ready."""
    before = es.course_of(step.state)
    if isinstance(step.state, es.SmokeTesting) and isinstance(before, es.Rollout):
        course = dataclasses.replace(before, step=len(before.steps) - 1)
        wanted = books.divided(course.steps[-1], None, course.deployment)
        state = es.ShiftingTraffic(step.state.book, course, step.state.attempt, wanted, event.at)
        return Decision(state, (rm.ShiftTraffic(step.state.book.target, wanted, state.attempt),))
    return step


def _begins_the_next_at_once(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    """A newer version takes the place of the one under way."""
    course = es.course_of(state)
    if isinstance(event, rm.RolloutWanted) and isinstance(course, es.Rollout) and step.state.book.waiting:
        book = dataclasses.replace(step.state.book, waiting=None)
        wish = es.Wish(event.stage, event.candidate, event.delivery, event.at)
        after = es.Rollout(wish, course.deployment, course.steps)
        state = es.PreparingEndpoint(book, after, step.state.attempt + 1, event.at)
        return Decision(state, (rm.EnsureEndpoint(book.target, state.attempt),))
    return step


def _removes_the_old_at_once(decide: Any, state: Any, event: Any) -> Decision[Any, Any]:
    """There is no soak."""
    if isinstance(state, es.ShiftingTraffic) and isinstance(state.course, es.Rollout):
        stage = dataclasses.replace(state.course.wish.stage, soak=0)
        wish = dataclasses.replace(state.course.wish, stage=stage)
        state = dataclasses.replace(state, course=dataclasses.replace(state.course, wish=wish))
    return decide(state, event)  # type: ignore[no-any-return]


def _forgets_the_order(decide: Any, state: Any, event: Any) -> Decision[Any, Any]:
    """The last one that was asked for is the newest."""
    if isinstance(event, rm.RolloutWanted):
        late = dataclasses.replace(event.candidate, order=f"{event.at:%Y%m%d%H%M%S%f}")
        event = dataclasses.replace(event, candidate=late)
    return decide(state, event)  # type: ignore[no-any-return]


def _forgets_to_answer(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    return _asked(step, lambda each: None if isinstance(each, Tell) and _is_superseded(each) else each)


def _is_superseded(told: Tell[Any]) -> bool:
    return isinstance(told.event, rm.StageEnded) and told.event.outcome == "superseded"


def _goes_back_twice(decide: Any, state: Any, event: Any) -> Decision[Any, Any]:
    """A rollback that comes again is another one."""
    if isinstance(event, rm.RollbackRequested) and hasattr(state, "book"):
        book = dataclasses.replace(state.book, hold=None, returned=None)
        return decide(dataclasses.replace(state, book=book), event)  # type: ignore[no-any-return]
    return decide(state, event)  # type: ignore[no-any-return]


def _believes_the_request(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    """A change of traffic that was taken is a change that was made."""
    if isinstance(state, es.ShiftingTraffic) and isinstance(event, rm.TrafficAsked) and step.state != state:
        found = rm.EndpointFound(step.state.attempt, step.state.wanted, event.at)
        return EndpointRollout().decide(step.state, found)
    return step


def _never_looks_again(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    if not isinstance(step.state, es.SettledEndpoint):
        return step
    return _asked(step, lambda each: None if isinstance(each, After) else each)


def _moves_traffic_first(state: Any, event: Any, step: Decision[Any, Any]) -> Decision[Any, Any]:
    """What fails is taken back, whether it had any traffic or not."""
    if (
        isinstance(state, es.SmokeTesting)
        and isinstance(event, rm.SmokePassed)
        and isinstance(state.course, es.Rollout)
    ):
        small = dataclasses.replace(event, measured=dataclasses.replace(event.measured, memory=0))
        return EndpointRollout().decide(state, small)
    return step


class _NamesByAttempt(ModelEffects):
    """Gives a deployment another name each time it is asked for."""

    @override
    def _create(self, command: rm.CreateDeployment) -> rm.Answer:
        other = dataclasses.replace(command, deployment=f"{command.deployment[:20]}-{command.attempt}")
        return ModelEffects._create(self, other)


def _replaced(decide: Callable[[Any, Any, Any], Decision[Any, Any]]) -> Callable[[EndpointRollout], Any]:
    return lambda flow: _Wrong(flow, decide)


_NEXT = MODEL_SCENARIOS["the next version"]
_THREE = ModelScenario((want(1), want(2, 100), want(3, 200), Said(400, "rollback")), duplicates=1)

PLANTED_MODEL_BUGS: dict[str, PlantedModelBug] = {
    planted.bug.name: planted
    for planted in (
        PlantedModelBug(ModelBug("deploys the latest image", _tampered(_deploys_the_tag)), "C1", _NEXT),
        PlantedModelBug(ModelBug("skips the smoke test", _tampered(_skips_the_smoke_test)), "C2", _NEXT),
        PlantedModelBug(
            ModelBug("begins the next at once", _tampered(_begins_the_next_at_once)),
            "C3",
            MODEL_SCENARIOS["two versions race"],
        ),
        PlantedModelBug(ModelBug("removes the old one at once", _replaced(_removes_the_old_at_once)), "C4", _NEXT),
        PlantedModelBug(
            ModelBug("never looks at an endpoint again", _tampered(_never_looks_again)),
            "C4",
            MODEL_SCENARIOS["the endpoint is deleted"],
            Bounds(faults=1, port="Host"),
        ),
        PlantedModelBug(
            ModelBug("forgets the order of versions", _replaced(_forgets_the_order)),
            "C5",
            MODEL_SCENARIOS["versions come in the wrong order"],
        ),
        PlantedModelBug(
            ModelBug("forgets to answer", _tampered(_forgets_to_answer)), "C6", MODEL_SCENARIOS["two versions race"]
        ),
        PlantedModelBug(
            ModelBug("saves the outbox after the state", records=_SavesTheOutboxLater), "C4", _NEXT, Bounds(crashes=1)
        ),
        PlantedModelBug(ModelBug("goes back twice", _replaced(_goes_back_twice)), "C7", _THREE),
        PlantedModelBug(
            ModelBug("believes the request", _tampered(_believes_the_request)),
            "C8",
            MODEL_SCENARIOS["the service forgets a change"],
        ),
        PlantedModelBug(ModelBug("names deployments anew", around_models=_NamesByAttempt), "C8", _NEXT),
        PlantedModelBug(
            ModelBug("lets what does not fit have traffic", _tampered(_moves_traffic_first)),
            "C9",
            MODEL_SCENARIOS["it does not fit"],
        ),
    )
}
