"""Carries out what the flows of models and endpoints ask for."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence

from tidegate import references
from tidegate.errors import MalformedEvent, PermanentError
from tidegate.flows.deliveries import delivery_messages as deliveries
from tidegate.flows.endpoints import rollout_messages as rollouts
from tidegate.flows.models.model_facts import Candidate, Measured, ModelFacts
from tidegate.flows.models.model_gate import Target, TargetKind
from tidegate.flows.models.sample_requests import Sample, SamplesError, different, parsed, read, same
from tidegate.model_ports import Answered, DeploymentSeen, Endpoints, EndpointSeen, Models, Releases
from tidegate.ports import Clock, Evidence, ImageRegistry
from tidegate.references import ImageRef, TagRef

SAMPLES_LIMIT = 1 << 20
"""Bytes of the file of sample requests."""
SAMPLE_TIMEOUT = 10.0
"""Seconds for one answer."""
MOST_SAMPLES = 32
"""Requests that one smoke test or comparison sends."""
RECORDS = "models"
"""Folder of the evidence where the records of models are."""

_HOST = ".azurecr.io"

READING = (
    deliveries.DescribeModel,
    deliveries.CheckRelease,
    rollouts.CheckDeployment,
    rollouts.CheckEndpoint,
    rollouts.SmokeTest,
    rollouts.ReadTraffic,
)
COMMANDS = (
    deliveries.DescribeModel,
    deliveries.PlaceModel,
    deliveries.StartRelease,
    deliveries.CheckRelease,
    deliveries.KeepRecord,
    rollouts.EnsureEndpoint,
    rollouts.CreateDeployment,
    rollouts.CheckDeployment,
    rollouts.SmokeTest,
    rollouts.ShiftTraffic,
    rollouts.CheckEndpoint,
    rollouts.ReadTraffic,
    rollouts.RemoveDeployment,
)


@dataclasses.dataclass(frozen=True, slots=True)
class ModelEffects:
    """The effects around models."""

    models: Models
    endpoints: Mapping[TargetKind, Endpoints]
    releases: Releases
    registry: ImageRegistry
    healthy: str
    evidence: Evidence
    clock: Clock

    def carry_out(self, command: object) -> object | None:
        """The event that a command leads to. Errors are the caller's."""
        match command:
            case deliveries.DescribeModel():
                facts = self._describe(command)
                return deliveries.ModelDescribed(command.attempt, facts, self.clock.now())
            case deliveries.PlaceModel(model, workspace, registry, attempt, check):
                placed = self.models.place(model, workspace, registry)
                if placed is None:
                    return deliveries.ModelPlacing(attempt, check, self.clock.now())
                return deliveries.ModelPlaced(attempt, placed.asset, placed.sha256, self.clock.now())
            case deliveries.StartRelease(pipeline, model, stage, delivery, attempt):
                run = self.releases.start(pipeline, model, stage, delivery)
                return deliveries.ReleaseStarted(attempt, run, self.clock.now())
            case deliveries.CheckRelease(pipeline, run, attempt, check):
                status, reason = self.releases.status(pipeline, run)
                return deliveries.ReleaseSeen(attempt, check, status, reason, self.clock.now())
            case deliveries.KeepRecord():
                return self._keep(command)
            case _:
                return self._around_endpoints(command)

    # Models ----------------------------------------------------------------------------------------------------------

    def _describe(self, command: deliveries.DescribeModel) -> ModelFacts:
        found = self.models.describe(command.model)
        known = {**found.properties, **found.tags}
        trained_by = _image(known.get("image", ""))
        return ModelFacts(
            model=command.model,
            artefact=self.models.artefact(command.model, command.max_size),
            tags=tuple(sorted(known.items())),
            metrics=_metrics(known),
            run=found.run or known.get("run", ""),
            image=known.get("image", ""),
            image_in_healthy=trained_by is not None
            and trained_by.registry == self.healthy
            and self.registry.exists(trained_by),
            data=known.get("data", ""),
            registered_by=found.registered_by,
            serving_image=self._serving_image(command.serve.image),
        )

    def _serving_image(self, named: str) -> str:
        """The image by digest (invariant C1); empty: the healthy registry does not have it."""
        repository, at, digest = named.partition("@")
        if at:
            there = self.registry.exists(ImageRef(self.healthy, repository, digest))
        else:
            repository, _, tag = named.rpartition(":")
            digest = self.registry.resolve(TagRef(self.healthy, repository, tag)) or ""
            there = bool(digest)
        return f"{self.healthy}{_HOST}/{repository}@{digest}" if there else ""

    def _keep(self, command: deliveries.KeepRecord) -> deliveries.RecordKept:
        model = command.model
        name = f"{RECORDS}/{model.workspace}/{model.name}/{model.version}/{command.stage}-{command.attempt}.json"
        stored = self.evidence.put(name, command.statement.encode(), "application/vnd.in-toto+json")
        marks = {f"tidegate.{command.stage}.record": stored.url, f"tidegate.{command.stage}.sha256": stored.sha256}
        self.models.mark(model, marks)
        return deliveries.RecordKept(command.attempt, stored.url, self.clock.now())

    # Endpoints -------------------------------------------------------------------------------------------------------

    def _on(self, target: Target) -> Endpoints:
        try:
            return self.endpoints[target.kind]
        except KeyError:
            raise PermanentError(f"targets of kind {target.kind} are not available in this installation") from None

    def _around_endpoints(self, command: object) -> object | None:
        match command:
            case rollouts.EnsureEndpoint(target, attempt, check):
                return self._seen(self._on(target).ensure(target), attempt, check)
            case rollouts.CheckEndpoint(target, attempt, check):
                return self._seen(self._on(target).look(target), attempt, check)
            case rollouts.ShiftTraffic(target, weights, attempt):
                self._on(target).shift(target, weights)
                return rollouts.TrafficAsked(attempt, self.clock.now())
            case rollouts.ReadTraffic():
                return self._read(command)
            case _:
                return self._around_deployments(command)

    def _around_deployments(self, command: object) -> object | None:
        match command:
            case rollouts.CreateDeployment():
                return self._create(command)
            case rollouts.CheckDeployment():
                return self._look(command)
            case rollouts.SmokeTest():
                return self._smoke(command)
            case rollouts.RemoveDeployment(target, deployment, attempt):
                is_gone = self._on(target).remove(target, deployment)
                answer = rollouts.DeploymentGone if is_gone else rollouts.RemovalAsked
                return answer(attempt, self.clock.now())
            case _:
                raise TypeError(f"{type(command).__name__} is not a command of any flow")

    def _create(self, command: rollouts.CreateDeployment) -> rollouts.Answer:
        target, now = command.target, self.clock.now
        try:
            self._on(target).create(target, command.deployment, command.candidate, command.instance)
        except PermanentError as error:
            code, _, reason = str(error).partition(": ")
            return rollouts.DeploymentFailed(command.attempt, code if reason else "", reason or code, now())
        return rollouts.DeploymentStarted(command.attempt, now())

    def _seen(self, seen: EndpointSeen, attempt: int, check: int) -> rollouts.Answer:
        match seen.state:
            case "ready":
                return rollouts.EndpointFound(attempt, seen.weights, self.clock.now())
            case "busy":
                return rollouts.EndpointBusy(attempt, check, self.clock.now())
            case "failed" | "missing":
                return rollouts.EndpointLost(attempt, seen.reason or "it is not there", self.clock.now())

    def _look(self, command: rollouts.CheckDeployment) -> rollouts.Answer:
        seen: DeploymentSeen = self._on(command.target).deployment(command.target, command.deployment)
        match seen.state:
            case "ready":
                return rollouts.DeploymentReady(command.attempt, self.clock.now())
            case "busy":
                return rollouts.DeploymentBusy(command.attempt, command.check, self.clock.now())
            case "failed" | "missing":
                reason = seen.reason or "it is not there"
                return rollouts.DeploymentFailed(command.attempt, seen.code, reason, self.clock.now())

    def _samples(self, candidate: Candidate) -> Sequence[Sample]:
        """SamplesError: the artefact has none that can be sent."""
        text = self.models.file(candidate.model, candidate.samples, SAMPLES_LIMIT)
        if text is None:
            raise SamplesError("it is not in the artefact")
        return read(text, MOST_SAMPLES)

    def _smoke(self, command: rollouts.SmokeTest) -> rollouts.Answer:
        target, deployment = command.target, command.deployment
        endpoints = self._on(target)
        try:
            samples = self._samples(command.candidate)
        except SamplesError as error:
            reason = f"sample requests ({command.candidate.samples}): {error}"
            return rollouts.SmokeFailed(command.attempt, reason, self.clock.now())
        seconds = []
        for number, sample in enumerate(samples, 1):
            answered = endpoints.ask(target, deployment, sample.body, SAMPLE_TIMEOUT)
            if reason := _wrong(sample, answered):
                return rollouts.SmokeFailed(command.attempt, f"sample {number}: {reason}", self.clock.now())
            seconds.append(answered.seconds)
        memory = endpoints.memory(target, deployment, command.instance)
        measured = Measured(memory, _p95(seconds), endpoints.started(target, deployment))
        return rollouts.SmokePassed(command.attempt, measured, self.clock.now())

    def _read(self, command: rollouts.ReadTraffic) -> rollouts.TrafficRead:
        endpoints, target = self._on(command.target), command.target
        champion = (
            endpoints.traffic(target, command.champion, command.since, mirrored=False) if command.champion else None
        )
        challenger = endpoints.traffic(target, command.challenger, command.since, command.mirrored)
        shift, asked = self._shift(command) if command.champion else (None, 0)
        return rollouts.TrafficRead(command.attempt, champion, challenger, shift, self.clock.now(), asked)

    def _shift(self, command: rollouts.ReadTraffic) -> tuple[float | None, int]:
        """Share of predictions for the sample requests in which champion and challenger differ (None: nothing to compare), and
        how many requests each was sent for it."""
        endpoints, target = self._on(command.target), command.target
        try:
            samples = self._samples(command.candidate)
        except SamplesError:
            return None, 0
        differ = of = 0
        for sample in samples:
            answers = [
                endpoints.ask(target, name, sample.body, SAMPLE_TIMEOUT)
                for name in (command.champion, command.challenger)
            ]
            if all(_is_answer(each) for each in answers):
                counted = different(answers[0].body, answers[1].body)
                if counted is not None:
                    differ, of = differ + counted[0], of + counted[1]
        return (differ / of if of else None), len(samples)


def _is_answer(answered: Answered) -> bool:
    return 200 <= answered.status < 300


def _wrong(sample: Sample, answered: Answered) -> str:
    """What is wrong with an answer; empty: nothing."""
    if answered.status == 0:
        return f"no answer within {SAMPLE_TIMEOUT:g} s"
    if not _is_answer(answered):
        return f"answered {answered.status}"
    value = parsed(answered.body)
    if value is None:
        return "the answer is not JSON"
    if sample.expected is not None and not same(value[0], json.loads(sample.expected)):
        return "the answer is not the one the model gave when it was registered"
    return ""


def _p95(seconds: Sequence[float]) -> float:
    """Nearest-rank 95th percentile."""
    return sorted(seconds)[math.ceil(0.95 * len(seconds)) - 1]


def _metrics(known: Mapping[str, str]) -> tuple[tuple[str, float], ...]:
    """Those that are finite numbers; others are as if they were not there, and a rule about them says so."""
    found = []
    for name, text in known.items():
        if name.startswith("metrics."):
            try:
                value = float(text)
            except ValueError:
                continue
            if math.isfinite(value):
                found.append((name.removeprefix("metrics."), value))
    return tuple(sorted(found))


def _image(text: str) -> ImageRef | None:
    """`<login server>/<repository>@<digest>` as a reference; None: it is not one."""
    try:
        return references.image(text, "image") if text else None
    except MalformedEvent:
        return None
