"""A delivery as a script: the product's own effects, one after the other, without events, queues, records, leases or a soak.

`python -m benchmarks.model_line` reads one line of JSON a version and answers each with one. Whatever it takes, a delivery by
these services cannot take less.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable

from tidegate import gates
from tidegate.adapters.services import services
from tidegate.composition import APP, SystemClock
from tidegate.flows.deliveries import delivery_messages as deliveries
from tidegate.flows.endpoints import rollout_messages as rollouts
from tidegate.flows.models.deployment_name import deployment_name
from tidegate.flows.models.model_facts import Candidate, Weights
from tidegate.flows.models.model_gate import Target
from tidegate.model_effects import ModelEffects
from tidegate.references import ModelRef
from tidegate.settings import load

_POLL_S = 0.2
_LIMIT_S = 120


class Script:
    """All services of one installation, as the product reaches them."""

    def __init__(self) -> None:
        settings, clock = load(os.environ), SystemClock()
        outside = services(os.environ, settings, "unused", clock)
        models = outside.around_models
        healthy = settings.healthy_registry
        self._effects = ModelEffects(
            models.models, models.endpoints, models.releases, outside.registry, healthy, outside.evidence, clock
        )
        self._gates = gates.load(APP / settings.gates_file)

    def deliver(self, model: ModelRef, endpoint: str) -> float:
        """Through the only stage of the product's gate, at another endpoint; gives the seconds that moving traffic took."""
        gate = self._gates.model_gate("product", {})
        if gate is None:
            raise RuntimeError("there is no gate for products")
        [stage] = gate.stages
        target = Target(stage.target.kind, stage.target.workspace, endpoint)
        facts = self._ask(
            deliveries.DescribeModel(model, gate.serve, gate.require.max_size, 1), deliveries.ModelDescribed
        ).facts
        place = deliveries.PlaceModel(model, target.workspace, gate.registry, 1)
        asset = self._until(place, deliveries.ModelPlaced).asset
        size, sha256 = facts.artefact.size, facts.artefact.sha256
        serve = gate.serve
        candidate = Candidate(model, asset, "", sha256, size, facts.serving_image, serve.script, serve.samples)
        self._until(rollouts.EnsureEndpoint(target, 1), rollouts.EndpointFound)
        name = deployment_name(model.name, model.version)
        self._ask(rollouts.CreateDeployment(target, name, candidate, stage.instance, 1), rollouts.DeploymentStarted)
        self._until(rollouts.CheckDeployment(target, name, 1, 1), rollouts.DeploymentReady)
        self._ask(rollouts.SmokeTest(target, name, candidate, stage.instance, 1), rollouts.SmokePassed)
        since = time.perf_counter()
        wanted = Weights(((name, 100),))
        self._ask(rollouts.ShiftTraffic(target, wanted, 1), rollouts.TrafficAsked)
        self._until(rollouts.CheckEndpoint(target, 1, 1), rollouts.EndpointFound, lambda found: found.weights == wanted)
        return time.perf_counter() - since

    def _ask[T](self, command: object, wanted: type[T]) -> T:
        answer = self._effects.carry_out(command)
        if not isinstance(answer, wanted):
            raise RuntimeError(f"{type(command).__name__}: {answer}")  # noqa: TRY004  no type was mistaken
        return answer

    def _until[T](self, command: object, wanted: type[T], holds: Callable[[T], bool] = lambda _answer: True) -> T:
        until = time.monotonic() + _LIMIT_S
        while time.monotonic() < until:
            answer = self._effects.carry_out(command)
            if isinstance(answer, wanted) and holds(answer):
                return answer
            time.sleep(_POLL_S)
        raise RuntimeError(f"{type(command).__name__}: nothing within {_LIMIT_S} s")


def main() -> None:
    """Until the end of the input. Answers are `{"seconds": ..., "shift": ...}`."""
    script = Script()
    for line in sys.stdin:
        wanted = json.loads(line)
        since = time.perf_counter()
        shift = script.deliver(ModelRef(wanted["workspace"], wanted["name"], wanted["version"]), wanted["endpoint"])
        print(json.dumps({"seconds": time.perf_counter() - since, "shift": shift}), flush=True)


if __name__ == "__main__":
    main()
