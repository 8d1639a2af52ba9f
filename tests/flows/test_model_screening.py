"""Screening: what speaks against a model, as sentences; all of it at once."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.flows.delivery_samples import CHAMPION, FACTS, GATE, OTHER_SHA, SHA, TRAINER
from tidegate.flows.models.model_facts import Artefact, Candidate, ModelFacts
from tidegate.flows.models.model_gate import MetricRule, ModelGate
from tidegate.flows.models.model_screening import compared, in_words, screened

GIB = 1 << 30


def facts(**fields: Any) -> ModelFacts:
    return dataclasses.replace(FACTS, **fields)


def gate(**fields: Any) -> ModelGate:
    """The gate with other requirements."""
    return dataclasses.replace(GATE, require=dataclasses.replace(GATE.require, **fields))


def champion(**metrics: float) -> Candidate:
    return dataclasses.replace(CHAMPION, metrics=tuple(sorted(metrics.items())))


def test_a_model_that_keeps_every_rule_has_nothing_against_it() -> None:
    assert screened(GATE, FACTS, CHAMPION) == ()


ONE_PROBLEM: dict[str, tuple[ModelFacts, str]] = {
    "a tag is missing": (facts(tags=()), "tag owner is missing or empty (require.tags)"),
    "a tag is empty": (facts(tags=(("owner", " "),)), "tag owner is missing or empty (require.tags)"),
    "its run is unknown": (facts(run=""), "it does not say which run made it (require.lineage: run)"),
    "its data is unknown": (
        facts(data=""),
        "it does not say what it was trained on; set tag data (require.lineage: data)",
    ),
    "its image is unknown": (
        facts(image="", image_in_healthy=False),
        "it does not say which image trained it; set tag image (require.lineage: image)",
    ),
    "its image is not healthy": (
        facts(image_in_healthy=False),
        f"it was trained by {TRAINER}, which is not in the healthy registry (require.lineage: image)",
    ),
    "nothing healthy serves it": (
        facts(serving_image=""),
        "serving image scoring/litter:v3 is not in the healthy registry (serve.image)",
    ),
    "it is too big, and was not read": (
        facts(artefact=Artefact("", 2 * GIB, 4)),
        "its files have 2 GiB, more than 1 GiB (require.max_size)",
    ),
    "it could not be hashed": (
        facts(artefact=Artefact("", 5, 1)),
        "its files could not be hashed, so nothing can say later that they are the same",
    ),
    "it has no files": (facts(artefact=Artefact(SHA, 0, 0)), "it has no files"),
    "a metric is missing": (
        facts(metrics=(("loss", 0.3),)),
        "metric accuracy is missing or no number; set tag metrics.accuracy (require.metrics)",
    ),
    "a metric is no number": (
        facts(metrics=(("accuracy", float("nan")), ("loss", 0.3))),
        "metric accuracy is missing or no number; set tag metrics.accuracy (require.metrics)",
    ),
    "a metric is above its bound": (
        facts(metrics=(("accuracy", 0.9), ("loss", 0.6))),
        "metric loss is 0.6, more than 0.5 (require.metrics)",
    ),
    "a metric is worse than the champion's": (
        facts(metrics=(("accuracy", 0.88), ("loss", 0.3))),
        "metric accuracy is 0.88, worse than the champion's 0.91 by more than 0.02 (require.metrics)",
    ),
}


@pytest.mark.parametrize(("model", "sentence"), ONE_PROBLEM.values(), ids=ONE_PROBLEM.keys())
def test_a_broken_rule_is_one_sentence_that_names_it(model: ModelFacts, sentence: str) -> None:
    assert screened(GATE, model, CHAMPION) == (sentence,)


def test_every_problem_is_named_at_once() -> None:
    worst = facts(
        tags=(),
        run="",
        data="",
        image="",
        serving_image="",
        artefact=Artefact("", 2 * GIB, 1),
        metrics=(("loss", 0.9),),
    )
    assert len(screened(GATE, worst, CHAMPION)) == 8


def test_below_its_bound_and_worse_than_the_champion_are_two_problems() -> None:
    worse = facts(metrics=(("accuracy", 0.7), ("loss", 0.3)))
    assert [sentence.split(",")[1] for sentence in screened(GATE, worse, CHAMPION)] == [
        " less than 0.8 (require.metrics)",
        " worse than the champion's 0.91 by more than 0.02 (require.metrics)",
    ]


MORE = MetricRule("score", at_least=0.1, tolerance=0.1)
LESS = MetricRule("score", at_most=0.9, tolerance=0.1)
BESIDE: dict[str, tuple[MetricRule, float, float | None, bool]] = {
    "more is better: as good": (MORE, 0.8, 0.8, True),
    "more is better: better": (MORE, 0.9, 0.1, True),
    "more is better: worse by exactly the tolerance": (MORE, 0.7, 0.8, True),
    "more is better: worse by more": (MORE, 0.69, 0.8, False),
    "less is better: better": (LESS, 0.1, 0.9, True),
    "less is better: worse by exactly the tolerance": (LESS, 0.8, 0.7, True),
    "less is better: worse by more": (LESS, 0.81, 0.7, False),
    "no champion": (MORE, 0.2, None, True),
    "a champion whose figure is no number": (MORE, 0.2, float("inf"), True),
    "not compared without a tolerance": (MetricRule("score", at_least=0.1), 0.2, 0.9, True),
    "no tolerance at all": (MetricRule("score", at_least=0.1, tolerance=0.0), 0.8999, 0.9, False),
    "two bounds say nothing about better": (MetricRule("score", 0.1, 0.9, 0.1), 0.5, 0.5, False),
    "no bound says nothing about better": (MetricRule("score", tolerance=0.1), 0.5, 0.5, False),
}


@pytest.mark.parametrize(("rule", "value", "other", "good"), BESIDE.values(), ids=BESIDE.keys())
def test_a_model_may_be_worse_than_the_champion_by_the_tolerance(
    rule: MetricRule, value: float, other: float | None, good: bool
) -> None:
    model = facts(metrics=(("score", value),))
    beside = None if other is None else champion(score=other)
    assert (screened(gate(metrics=(rule,)), model, beside) == ()) == good


def test_a_champion_that_does_not_say_the_metric_is_no_measure() -> None:
    assert screened(GATE, facts(metrics=(("accuracy", 0.8), ("loss", 0.5))), champion(f1=0.99)) == ()


def test_what_was_compared_is_kept_with_both_figures() -> None:
    first, second = compared(GATE.require, FACTS, CHAMPION)
    assert (first.name, first.value, first.champion, first.rule.tolerance) == ("accuracy", 0.9, 0.91, 0.02)
    assert (second.name, second.value, second.champion) == ("loss", 0.3, 0.3)
    assert [each.champion for each in compared(GATE.require, FACTS, None)] == [None, None]


def test_nothing_is_asked_for_that_the_gate_does_not_ask_for() -> None:
    bare = facts(
        tags=(), run="", image="", image_in_healthy=False, data="", metrics=(), artefact=Artefact(OTHER_SHA, 9 * GIB, 1)
    )
    assert screened(gate(tags=(), lineage=(), metrics=(), max_size=0), bare, CHAMPION) == ()


WORDS = {
    0: "0 bytes",
    1023: "1023 bytes",
    2048: "2 KiB",
    5 << 20: "5 MiB",
    GIB + GIB // 2: f"1.5 GiB ({GIB + GIB // 2} bytes)",
    GIB + 1: f"1.0 GiB ({GIB + 1} bytes)",
}


@pytest.mark.parametrize(("size", "words"), WORDS.items())
def test_sizes_are_said_in_words_that_hide_nothing(size: int, words: str) -> None:
    assert in_words(size) == words
