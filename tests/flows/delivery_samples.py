"""Values that tests of deliveries share: gates, facts, candidates, and one of everything that the flow hears, says and is."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from tidegate.flows.base import CommandErrored, CommandRefused, Request
from tidegate.flows.deliveries import delivery_messages as dm
from tidegate.flows.deliveries import delivery_states as st
from tidegate.flows.deliveries.model_delivery import ModelDelivery
from tidegate.flows.deliveries.stage_approval import evidence
from tidegate.flows.endpoints.rollout_messages import ChampionTold, StageEnded
from tidegate.flows.models.model_facts import COPY_TAG, Artefact, Candidate, Measured, ModelFacts
from tidegate.flows.models.model_gate import (
    AnalysisRules,
    ApprovalRules,
    FitRules,
    Freeze,
    Instance,
    MetricRule,
    ModelGate,
    ModelRequirements,
    ReleasePipeline,
    Serving,
    Stage,
    Target,
    TrafficStep,
    WorkspaceRef,
)
from tidegate.flows.reminders import Reminded
from tidegate.references import ModelRef

FLOW = ModelDelivery()
MODEL = ModelRef("ml-dev", "litter", "7")
KEY = "model-delivery:ml-dev/litter:7"
NAME = "litter:7"
ORDER = "2026-03-02T08:00:00.000000000Z/e1"
NOW = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=datetime.UTC)
"""A Monday."""
LATER = NOW + datetime.timedelta(seconds=30)
BEFORE = NOW - datetime.timedelta(hours=1)
MUCH_LATER = NOW + datetime.timedelta(days=30)
SHA, OTHER_SHA = "a" * 64, "b" * 64
IMAGE = "tidegatehealthy.azurecr.io/scoring/litter@sha256:" + "c" * 64
TRAINER = "tidegatehealthy.azurecr.io/training/litter@sha256:" + "d" * 64
ASSET = "azureml:litter:7"
MEASURED = Measured(900 << 20, 0.05, 12.0)

_ALL_AT_ONCE = (TrafficStep(100),)
_STEPS = (TrafficStep(20, mirror=True), TrafficStep(10), TrafficStep(50), TrafficStep(100))
_ANALYSIS = AnalysisRules(60, 20, 0.01, 1.5, 0.1, 3600, 86_400)
_FIT = FitRules(0.9, 1.0, 300.0, 1 << 30)
APPROVAL = ApprovalRules(2, ("Approver.pro",), 86_400)
PIPELINE = ReleasePipeline("github", "team/app", "release.yml", "main", 3600)
WEEKEND = Freeze(4 * 1440 + 18 * 60, 6 * 1440)
"""Friday 18:00 to Sunday 00:00."""
MONDAY_MORNING = Freeze(7 * 60, 9 * 60)
"""Holds at NOW."""


def stage(name: str, **fields: Any) -> Stage:
    """A stage of that name at the endpoint of that name."""
    target = Target("managed", WorkspaceRef(f"ml-{name}"), f"litter-{name}")
    plain = Stage(name, target, Instance("Standard_DS2_v2", 1, 2.0, 4 << 30), _FIT, _ALL_AT_ONCE, _ANALYSIS, 600)
    return dataclasses.replace(plain, **fields)


DEV, INT, PRO = stage("dev"), stage("int"), stage("pro", traffic=_STEPS, approval=APPROVAL)
ELSEWHERE = stage("app", target=Target("managed", WorkspaceRef("ml-app"), ""), release=PIPELINE)
GATE = ModelGate(
    name="litter",
    version="0123456789ab",
    require=ModelRequirements(
        tags=("owner",),
        lineage=("run", "image", "data"),
        metrics=(MetricRule("accuracy", at_least=0.8, tolerance=0.02), MetricRule("loss", at_most=0.5)),
        max_size=1 << 30,
    ),
    serve=Serving("scoring/litter:v3", "score.py", "samples.json", (("MODEL", "litter"),)),
    registry="",
    stages=(DEV, INT, PRO),
)
FACTS = ModelFacts(
    model=MODEL,
    artefact=Artefact(SHA, 5 << 20, 3),
    tags=(("metrics.accuracy", "0.9"), ("owner", "vision")),
    metrics=(("accuracy", 0.9), ("loss", 0.3)),
    run="train-1",
    image=TRAINER,
    image_in_healthy=True,
    data="litter@4",
    registered_by="00000000-0000-0000-0000-0000000000aa",
    serving_image=IMAGE,
)
WORSE = dataclasses.replace(FACTS, metrics=(("accuracy", 0.7), ("loss", 0.9)))
COPY = dataclasses.replace(FACTS, tags=((COPY_TAG, "ml-dev/litter:7"),))
CHAMPION = Candidate(
    model=ModelRef("ml-dev", "litter", "6"),
    asset="azureml:litter:6",
    order="2026-03-01T08:00:00.000000000Z/e0",
    sha256=OTHER_SHA,
    size=4 << 20,
    image=IMAGE,
    script="score.py",
    samples="samples.json",
    metrics=(("accuracy", 0.91), ("loss", 0.3)),
)
CANDIDATE = Candidate(
    model=MODEL,
    asset=ASSET,
    order=ORDER,
    sha256=SHA,
    size=5 << 20,
    image=IMAGE,
    script="score.py",
    samples="samples.json",
    environment=(("MODEL", "litter"),),
    metrics=FACTS.metrics,
)

TENANT = "00000000-0000-0000-0000-0000000071de"
ALICE, BOB, CAROL = (f"{TENANT}/00000000-0000-0000-0000-00000000000{digit}" for digit in "123")


def gate(*stages: Stage, **fields: Any) -> ModelGate:
    """The gate with other stages or fields."""
    return dataclasses.replace(GATE, stages=stages or GATE.stages, **fields)


def registered(gate: ModelGate | None = GATE, id: str = "e1") -> dm.ModelRegistered:
    return dm.ModelRegistered(MODEL, ORDER, gate, id, NOW)


def requested(id: str = "r1", *, why: str = "its event never came", gate: ModelGate = GATE) -> dm.DeliveryRequested:
    return dm.DeliveryRequested(MODEL, ORDER, gate, id, "dora@team.example", why, LATER, f"{TENANT}/dora")


def delivery(gate: ModelGate = GATE, facts: ModelFacts | None = FACTS, *passed: str) -> st.Delivery:
    """A delivery under way, with its first stages behind it."""
    done = tuple(st.StagePassed(name, NOW, "", f"https://evidence.example/{name}.json") for name in passed)
    request = Request("e1", "the workspace", "it was registered", NOW)
    return st.Delivery(MODEL, ORDER, gate, (request,), (), facts, CHAMPION if facts else None, done)


EVIDENCE = evidence(delivery(), "pro")


def vote(person: str = ALICE, who: str = "alice@team.example") -> st.Vote:
    return st.Vote(person, who, "the figures are good", LATER)


def approve(person: str = ALICE, **fields: Any) -> dm.Decided:
    plain = dm.Decided(
        "approve", person, f"{person[-1]}@team.example", ("Approver.pro",), EVIDENCE, "looks good", LATER
    )
    return dataclasses.replace(plain, **fields)


def reject(person: str = ALICE, **fields: Any) -> dm.Decided:
    plain = dm.Decided("reject", person, f"{person[-1]}@team.example", ("Operator",), "", "it is biased", LATER)
    return dataclasses.replace(plain, **fields)


def stage_ended(outcome: Any = "serving", stage: str = "dev", **fields: Any) -> StageEnded:
    return dataclasses.replace(StageEnded(stage, NAME, outcome, "said so", MEASURED, LATER), **fields)


_FRESH = delivery(facts=None)
_AT_DEV, _AT_PRO = delivery(), delivery(GATE, FACTS, "dev", "int")
_FROZEN_GATE = gate(stage("dev", freeze=(MONDAY_MORNING,)), PRO)
_PIPELINE_GATE = gate(DEV, ELSEWHERE)
EXPIRES = NOW + datetime.timedelta(days=1)

STATES: dict[str, st.State] = {
    "unregistered": st.Unregistered(),
    "ignored": st.ModelIgnored(MODEL, 1, "no gate matches it"),
    "ignored-copy": st.ModelIgnored(MODEL, 2, "a copy", _FRESH),
    "describing": st.DescribingModel(_FRESH, 1),
    "asking": st.AskingChampion(delivery(), 2),
    "frozen": st.Frozen(delivery(_FROZEN_GATE), 3, "dev", NOW, NOW + datetime.timedelta(hours=1)),
    "placing": st.PlacingModel(_AT_DEV, 3, "dev", NOW),
    "placing-frozen": st.PlacingModel(delivery(_FROZEN_GATE), 5, "dev", NOW),
    "placing-looked": st.PlacingModel(_AT_DEV, 3, "dev", NOW, checks=3),
    "placing-pro": st.PlacingModel(_AT_PRO, 11, "pro", NOW),
    "placing-approved": st.PlacingModel(_AT_PRO, 13, "pro", NOW, (vote(), vote(BOB, "bob"))),
    "placing-pipeline": st.PlacingModel(delivery(_PIPELINE_GATE, FACTS, "dev"), 7, "app", NOW),
    "awaiting": st.AwaitingApproval(_AT_PRO, 12, "pro", EVIDENCE, NOW, EXPIRES),
    "awaiting-one-more": st.AwaitingApproval(_AT_PRO, 12, "pro", EVIDENCE, NOW, EXPIRES, (vote(),)),
    "rolling": st.RollingOut(_AT_DEV, 4, "dev", NOW, CANDIDATE),
    "rolling-pro": st.RollingOut(_AT_PRO, 14, "pro", NOW, CANDIDATE, (vote(), vote(BOB, "bob"))),
    "releasing": st.Releasing(delivery(_PIPELINE_GATE, FACTS, "dev"), 8, "app", NOW),
    "releasing-running": st.Releasing(delivery(_PIPELINE_GATE, FACTS, "dev"), 8, "app", NOW, (), "run-9", 3),
    "recording": st.Recording(_AT_DEV, 5, "dev", NOW, "said so", MEASURED),
    "recording-last": st.Recording(_AT_PRO, 15, "pro", NOW, "said so", MEASURED, (vote(),)),
    "delivered": st.Delivered(delivery(GATE, FACTS, "dev", "int", "pro"), 16),
    "rejected-missing": st.ModelRejected(_FRESH, 2, "missing", ("no such version",)),
    "rejected-screening": st.ModelRejected(delivery(), 3, "screening", ("too big", "too bad")),
    "rejected-changed": st.ModelRejected(_AT_DEV, 4, "artefact changed", ("other bytes",), "dev"),
    "rejected-expired": st.ModelRejected(_AT_PRO, 13, "approval expired", ("1 of 2",), "pro"),
    "rejected-by-person": st.ModelRejected(_AT_PRO, 13, "rejected", ("it is biased",), "pro", "alice@team.example"),
    "rejected-blocked": st.ModelRejected(_AT_DEV, 5, "blocked", ("rejected by alice",), "dev"),
    "failed": st.DeliveryFailed(_AT_DEV, 5, "dev", "will not fit: 1.9 GiB of 1.5 GiB"),
    "rolled-back": st.DeliveryRolledBack(_AT_PRO, 15, "pro", "12 % of answers failed"),
    "superseded": st.DeliverySuperseded(_AT_DEV, 5, "dev", "by litter:8"),
    "errored": st.DeliveryErrored(_AT_DEV, 5, "dev", "rollout", "no answer"),
}


def answers(attempt: int) -> dict[str, dm.Answer]:
    """One of each answer to an attempt, with the variants that the flow tells apart."""
    return {
        "described": dm.ModelDescribed(attempt, FACTS, LATER),
        "described-worse": dm.ModelDescribed(attempt, WORSE, LATER),
        "described-copy": dm.ModelDescribed(attempt, COPY, LATER),
        "champion": ChampionTold(attempt, CHAMPION, LATER),
        "no-champion": ChampionTold(attempt, None, LATER),
        **{f"placing-{n}": dm.ModelPlacing(attempt, n, LATER) for n in (1, 4)},
        "placing-overdue": dm.ModelPlacing(attempt, 1, MUCH_LATER),
        "placed": dm.ModelPlaced(attempt, ASSET, SHA, LATER),
        "placed-other": dm.ModelPlaced(attempt, ASSET, OTHER_SHA, LATER),
        "release-started": dm.ReleaseStarted(attempt, "run-9", LATER),
        **{f"release-running-{n}": dm.ReleaseSeen(attempt, n, "running", "", LATER) for n in (1, 4)},
        "release-overdue": dm.ReleaseSeen(attempt, 4, "running", "", MUCH_LATER),
        "release-succeeded": dm.ReleaseSeen(attempt, 4, "succeeded", "", LATER),
        "release-failed": dm.ReleaseSeen(attempt, 4, "failed", "step deploy failed", LATER),
        "kept": dm.RecordKept(attempt, "https://evidence.example/record.json", LATER),
        "reminded": Reminded(attempt, LATER),
        "reminded-late": Reminded(attempt, MUCH_LATER),
        "refused": CommandRefused(attempt, "refused", LATER),
        "errored": CommandErrored(attempt, "no answer", LATER),
    }


_OUTCOMES = ("serving", "failed", "rolled-back", "superseded", "rejected", "errored")
WORDS: dict[str, dm.Event] = {
    "registered": registered(),
    "registered-ungated": registered(None),
    "requested": requested(),
    "requested-known": requested("e1"),
    "requested-without-why": requested("r2", why=" "),
    "approve": approve(),
    "approve-bob": approve(BOB),
    "approve-other-evidence": approve(CAROL, evidence="0" * 64),
    "approve-no-role": approve(CAROL, roles=("Viewer",)),
    "reject": reject(),
    "reject-no-role": reject(roles=("Viewer",)),
    **{
        f"{outcome}-{name}-{when}": stage_ended(outcome, name, at=at)
        for outcome in _OUTCOMES
        for name in ("dev", "pro")
        for when, at in (("then", LATER), ("before", BEFORE))
    },
    "serving-other": stage_ended(candidate="litter:8"),
}


def events(attempt: int) -> dict[str, dm.Event]:
    """Every sample event, with answers to this attempt."""
    return {**WORDS, **answers(attempt)}
