"""Screening: whether a registered model may be deployed at all, judged from what is known of it before anything runs."""

from __future__ import annotations

import dataclasses
import decimal
import math
from collections.abc import Iterator, Mapping
from typing import Literal

from tidegate.flows.models.model_facts import Candidate, ModelFacts
from tidegate.flows.models.model_gate import MetricRule, ModelGate, ModelRequirements, Serving

type Better = Literal["more", "less"]


@dataclasses.dataclass(frozen=True, slots=True)
class Compared:
    """One metric as it was judged."""

    name: str
    value: float | None
    """None: the model does not say it."""
    champion: float | None
    """None: there is no champion, or it does not say it."""
    rule: MetricRule


def screened(gate: ModelGate, facts: ModelFacts, champion: Candidate | None) -> tuple[str, ...]:
    """Everything that speaks against the model, as sentences for people; empty: it may go to the first stage."""
    require = gate.require
    return (
        *_tags(require, dict(facts.tags)),
        *_lineage(require, facts),
        *_serving(gate.serve, facts),
        *_artefact(require, facts),
        *(problem for each in compared(require, facts, champion) for problem in _metric(each)),
    )


def compared(require: ModelRequirements, facts: ModelFacts, champion: Candidate | None) -> tuple[Compared, ...]:
    """Every metric the gate names beside the champion's; for the judgement, and for the record of it."""
    own, other = dict(facts.metrics), dict(champion.metrics) if champion else {}
    return tuple(Compared(rule.name, own.get(rule.name), other.get(rule.name), rule) for rule in require.metrics)


def _tags(require: ModelRequirements, tags: Mapping[str, str]) -> Iterator[str]:
    for name in require.tags:
        if not tags.get(name, "").strip():
            yield f"tag {name} is missing or empty (require.tags)"


def _lineage(require: ModelRequirements, facts: ModelFacts) -> Iterator[str]:
    if "run" in require.lineage and not facts.run:
        yield "it does not say which run made it (require.lineage: run)"
    if "data" in require.lineage and not facts.data:
        yield "it does not say what it was trained on; set tag data (require.lineage: data)"
    if "image" in require.lineage and not facts.image:
        yield "it does not say which image trained it; set tag image (require.lineage: image)"
    elif "image" in require.lineage and not facts.image_in_healthy:
        yield f"it was trained by {facts.image}, which is not in the healthy registry (require.lineage: image)"


def _serving(serve: Serving, facts: ModelFacts) -> Iterator[str]:
    if not facts.serving_image:
        yield f"serving image {serve.image} is not in the healthy registry (serve.image)"


def _artefact(require: ModelRequirements, facts: ModelFacts) -> Iterator[str]:
    artefact = facts.artefact
    if require.max_size and artefact.size > require.max_size:
        has, may = in_words(artefact.size), in_words(require.max_size)
        yield f"its files have {has}, more than {may} (require.max_size)"
    elif not artefact.sha256:
        yield "its files could not be hashed, so nothing can say later that they are the same"
    elif not artefact.files:
        yield "it has no files"


def _metric(metric: Compared) -> Iterator[str]:
    rule, value = metric.rule, metric.value
    if value is None or not math.isfinite(value):
        yield f"metric {rule.name} is missing or no number; set tag metrics.{rule.name} (require.metrics)"
        return
    if rule.at_least is not None and value < rule.at_least:
        yield f"metric {rule.name} is {value:g}, less than {rule.at_least:g} (require.metrics)"
    if rule.at_most is not None and value > rule.at_most:
        yield f"metric {rule.name} is {value:g}, more than {rule.at_most:g} (require.metrics)"
    yield from _beside_champion(metric, value)


def _beside_champion(metric: Compared, value: float) -> Iterator[str]:
    """A champion that does not say the metric is no measure: the bounds alone hold then."""
    rule, champion = metric.rule, metric.champion
    if rule.tolerance is None or champion is None or not math.isfinite(champion):
        return
    better = _better(rule)
    if better is None:
        yield f"metric {rule.name} has a tolerance but not exactly one bound: nobody knows what is better (require.metrics)"
    elif _worse_by(better, value, champion) > _exact(rule.tolerance):
        yield (
            f"metric {rule.name} is {value:g}, worse than the champion's {champion:g} by more than {rule.tolerance:g}"
            " (require.metrics)"
        )


def _better(rule: MetricRule) -> Better | None:
    match rule.at_least, rule.at_most:
        case float() | int(), None:
            return "more"
        case None, float() | int():
            return "less"
        case _:
            return None


def _worse_by(better: Better, value: float, champion: float) -> decimal.Decimal:
    worse = _exact(champion) - _exact(value)
    return worse if better == "more" else -worse


def _exact(value: float) -> decimal.Decimal:
    """The number as people wrote it: 0.8 - 0.7 is 0.1, and not a little more."""
    return decimal.Decimal(repr(value))


def in_words(size: int) -> str:
    """Bytes as people say them, with the exact number where the word rounds it."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}" if size % unit == 0 else f"{size / unit:.1f} {name} ({size} bytes)"
    return f"{size} bytes"
