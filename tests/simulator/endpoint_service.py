"""A stand-in for the service behind one endpoint, in memory and in virtual time, that keeps the truth about its deployments.

Emulated rules (azure-ai-docs, how-to-troubleshoot-online-endpoints and how-to-safely-rollout-online-endpoints): weights name
deployments that are there and add up to 100 or nothing; one with traffic is not deleted; a change while another is made is
refused for the moment; deleting the endpoint deletes its deployments. Unverified: how long each change takes.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Mapping
from typing import override

from tests.fakes import FakeClock, FaultHook, healthy
from tests.fakes.faults import FakePort, call
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.models.model_facts import Candidate, Traffic, Weights
from tidegate.flows.models.model_gate import Instance, Target
from tidegate.model_ports import Answered, DeploymentSeen, Endpoints, EndpointSeen

GIB = 1 << 30
NOTHING = Weights(())


@dataclasses.dataclass(frozen=True, slots=True)
class Nature:
    """How deployments of a version are."""

    refused: str = ""
    """`code: reason` with which creating it is refused; empty: it is not."""
    broken: str = ""
    """Code with which it ends after creation; empty: it runs."""
    mute: bool = False
    """Whether it fails its sample requests."""
    memory: int = GIB // 2
    failures: float = 0.0
    """Share of live requests that fail."""
    p95: float = 0.02
    answer: int = 7
    """Its prediction for every sample."""
    requests: int = 10_000
    """Answers in any window of time, at 100 %."""
    stays: bool = False
    """Whether the service takes the request to delete it, and does not."""


@dataclasses.dataclass(slots=True)
class Deployment:
    """One that is there."""

    candidate: Candidate
    ready_at: datetime.datetime
    code: str = ""
    smoked: bool = False
    gone_at: datetime.datetime | None = None
    """When it will be deleted; None: nobody asked for that."""
    asked: list[datetime.datetime] = dataclasses.field(default_factory=list)
    """Whether it answered a sample request as it should since it was made: what invariant C2 asks for."""


class EndpointService(FakePort, Endpoints):
    """The Endpoints port. `nature` by version; `changes` is everything that was changed, in order."""

    port = "Endpoints"

    def __init__(
        self,
        clock: FakeClock,
        nature: Mapping[str, Nature],
        fault: FaultHook = healthy,
        *,
        deploy_seconds: float = 60,
        shift_seconds: float = 5,
        delete_seconds: float = 20,
    ) -> None:
        super().__init__(fault)
        self._clock = clock
        self._nature = nature
        self._deploy_seconds = deploy_seconds
        self._shift_seconds = shift_seconds
        self._delete_seconds = delete_seconds
        self.exists = False
        self.weights = NOTHING
        self._deployments: dict[str, Deployment] = {}
        self.changes: list[tuple[str, str, Weights]] = []
        """What, which deployment, and the weights after it."""
        self.before: list[Weights] = []
        """The weights before each change."""
        self._seen_weights = NOTHING
        self._busy_until = clock.now()

    def nature(self, candidate: Candidate) -> Nature:
        return self._nature.get(candidate.model.version, Nature())

    @property
    def deployments(self) -> dict[str, Deployment]:
        """Those that are there now, also while they are being deleted."""
        now = self._clock.now()
        for name in [name for name, each in self._deployments.items() if each.gone_at and each.gone_at <= now]:
            del self._deployments[name]
        return self._deployments

    def live(self) -> dict[str, int]:
        return dict(self.weights.live)

    # Outsiders -------------------------------------------------------------------------------------------------------

    def delete_endpoint(self) -> None:
        """Somebody deletes the endpoint by hand."""
        self.exists = False
        self.weights = NOTHING
        self.deployments.clear()
        self._changed("deleted", "")

    def divide(self, weights: Weights) -> None:
        """Somebody else divides the traffic, as far as the deployments are there."""
        if all(name in self.deployments for name, _ in weights.live):
            self.weights = weights
            self._changed("foreign", "")

    def end_without_traffic(self, name: str) -> None:
        """Somebody deletes a deployment that has no traffic."""
        if name in self.deployments and not self._has_traffic(name):
            del self.deployments[name]
            self._changed("deleted", name)

    # The port --------------------------------------------------------------------------------------------------------

    @override
    @call
    def ensure(self, target: Target) -> EndpointSeen:
        if not self.exists:
            self.exists = True
            self._changed("made", "")
        return self._seen()

    @override
    @call
    def look(self, target: Target) -> EndpointSeen:
        return self._seen()

    @override
    @call
    def create(self, target: Target, deployment: str, candidate: Candidate, instance: Instance) -> None:
        if not self.exists:
            raise PermanentError("ParentResourceNotFound: there is no such endpoint")
        if deployment in self.deployments:
            return
        nature = self.nature(candidate)
        if nature.refused:
            raise PermanentError(nature.refused)
        ready_at = self._clock.now() + datetime.timedelta(seconds=self._deploy_seconds)
        self.deployments[deployment] = Deployment(candidate, ready_at, nature.broken)
        self._changed("created", deployment)

    @override
    @call
    def deployment(self, target: Target, deployment: str) -> DeploymentSeen:
        found = self.deployments.get(deployment)
        if found is None:
            return DeploymentSeen("missing", "", "it is not there")
        if found.gone_at or self._clock.now() < found.ready_at:
            return DeploymentSeen("busy", "", "")
        return DeploymentSeen("failed", found.code, "it ended") if found.code else DeploymentSeen("ready", "", "")

    @override
    @call
    def shift(self, target: Target, weights: Weights) -> None:
        self._may_change()
        names = [name for name, percent in (*weights.live, *weights.mirror) if percent]
        if any(self.deployment_state(name) != "ready" for name in names):
            raise PermanentError(f"BadArgument: {names} are not all there and ready")
        if sum(percent for _, percent in weights.live) not in (0, 100):
            raise PermanentError("BadArgument: traffic must add up to 0 or 100")
        self.divide_as_asked(weights)

    @override
    @call
    def remove(self, target: Target, deployment: str) -> bool:
        found = self.deployments.get(deployment)
        if found is None:
            return True
        if self._has_traffic(deployment):
            raise PermanentError(f"BadArgument: {deployment} has traffic")
        if found.gone_at is None:
            if not self.nature(found.candidate).stays:
                found.gone_at = self._clock.now() + datetime.timedelta(seconds=self._delete_seconds)
            self._changed("removed", deployment)
        return False

    @override
    @call
    def ask(self, target: Target, deployment: str, body: bytes, timeout: float) -> Answered:
        if not self.exists:
            raise TransientError("the key of the endpoint could not be had")
        found = self.deployments.get(deployment)
        if found is None or self.deployment_state(deployment) != "ready":
            return Answered(404, b"", 0.001)
        nature = self.nature(found.candidate)
        if nature.mute:
            return Answered(500, b"", 0.001)
        found.smoked = True
        found.asked.append(self._clock.now())
        return Answered(200, json.dumps([nature.answer]).encode(), nature.p95)

    @override
    @call
    def traffic(self, target: Target, deployment: str, since: datetime.datetime, mirrored: bool) -> Traffic:
        found = self.deployments.get(deployment)
        if found is None:
            raise PermanentError(f"there is no deployment {deployment}")
        nature = self.nature(found.candidate)
        weights = self.weights.mirror if mirrored else self.weights.live
        requests = nature.requests * dict(weights).get(deployment, 0) // 100
        requests += sum(at >= since for at in found.asked)  # the service cannot tell the samples from people's requests
        return Traffic(requests, round(requests * nature.failures), nature.p95 if requests else None)

    @override
    @call
    def memory(self, target: Target, deployment: str, instance: Instance) -> int | None:
        found = self.deployments.get(deployment)
        return self.nature(found.candidate).memory if found else None

    @override
    @call
    def started(self, target: Target, deployment: str) -> float | None:
        return self._deploy_seconds if deployment in self.deployments else None

    # Inside ----------------------------------------------------------------------------------------------------------

    def divide_as_asked(self, weights: Weights) -> None:
        if weights != self.weights:
            self.weights = weights
            self._busy_until = self._clock.now() + datetime.timedelta(seconds=self._shift_seconds)
            self._changed("shifted", "")

    def deployment_state(self, name: str) -> str:
        found = self.deployments.get(name)
        if found is None:
            return "missing"
        is_busy = found.gone_at is not None or self._clock.now() < found.ready_at
        return "busy" if is_busy else "failed" if found.code else "ready"

    def _seen(self) -> EndpointSeen:
        if not self.exists:
            return EndpointSeen("missing", "", NOTHING)
        if self._clock.now() < self._busy_until:
            return EndpointSeen("busy", "", NOTHING)
        return EndpointSeen("ready", "", self.weights)

    def _may_change(self) -> None:
        if not self.exists:
            raise PermanentError("ResourceNotFound: there is no such endpoint")
        if self._clock.now() < self._busy_until:
            raise TransientError("409: another change is being made")

    def _has_traffic(self, name: str) -> bool:
        return any(percent for each, percent in (*self.weights.live, *self.weights.mirror) if each == name)

    def _changed(self, what: str, deployment: str) -> None:
        self.changes.append((what, deployment, self.weights))
        self.before.append(self._seen_weights)
        self._seen_weights = self.weights
