"""What is said of a challenger: worse, fine, or nothing yet; and of a deployment that does not fit its place."""

from __future__ import annotations

import dataclasses

import pytest

from tests.flows.endpoint_samples import GIB, GOOD, MEASURED, STAGE
from tidegate.flows.endpoints.rollout_analysis import (
    Fine,
    Inconclusive,
    Judgement,
    Worse,
    figures,
    judge,
    too_large,
    unfit,
    without_ours,
)
from tidegate.flows.endpoints.rollout_messages import TrafficRead
from tidegate.flows.models.model_facts import Measured, Traffic
from tidegate.flows.models.model_gate import AnalysisRules, FitRules, Instance

RULES = STAGE.analysis
ALWAYS = Traffic(1000, 5, 0.1)
"""The champion."""


def read(
    requests: int,
    failed: int = 0,
    p95: float | None = 0.1,
    *,
    champion: Traffic | None = ALWAYS,
    shift: float | None = 0.0,
) -> TrafficRead:
    return dataclasses.replace(GOOD, champion=champion, challenger=Traffic(requests, failed, p95), shift=shift)


JUDGED: dict[str, tuple[TrafficRead, Judgement]] = {
    "as good": (read(50), Fine()),
    "at every bound": (read(50, 1, 0.15, shift=0.1), Fine()),
    "one answer too few": (read(49), Inconclusive("49 answers of 50 (analysis.requests)")),
    "no answers": (read(0, p95=None, shift=None), Inconclusive("0 answers of 50 (analysis.requests)")),
    "one failure too many": (
        read(100, 3),
        Worse("3 of 100 answers failed: 3 % of at most 2 % (analysis.errors)"),
    ),
    "just above the bound": (
        read(1000, 21),
        Worse("21 of 1000 answers failed: 2.1 % of at most 2.0 % (analysis.errors)"),
    ),
    "so many failures that no more answers can mend it": (
        read(3, 2),
        Worse("2 of 3 answers failed: 67 % of at most 2 % (analysis.errors)"),
    ),
    "a failure that more answers may outweigh": (
        read(3, 1),
        Inconclusive("3 answers of 50 (analysis.requests)"),
    ),
    "slower": (
        read(50, p95=0.2),
        Worse("p95 200 ms of at most 150 ms, 1.5 times the champion's (analysis.latency)"),
    ),
    "slower, by too few answers": (read(40, p95=0.2), Inconclusive("40 answers of 50 (analysis.requests)")),
    "slower than a champion that was hardly asked": (read(50, p95=0.2, champion=Traffic(10, 0, 0.1)), Fine()),
    "a champion without answers": (read(50, champion=Traffic(0, 0, None)), Fine()),
    "other predictions": (
        read(50, shift=0.25),
        Worse("25 % of the predictions differ from the champion's, at most 10 % may (analysis.shift)"),
    ),
    "other predictions, however few answers": (
        read(0, shift=1.0),
        Worse("100 % of the predictions differ from the champion's, at most 10 % may (analysis.shift)"),
    ),
    "predictions that cannot be compared": (
        read(50, shift=None),
        Inconclusive("the predictions could not be compared with the champion's (analysis.shift)"),
    ),
    "nobody to compare with": (read(50, p95=5.0, champion=None, shift=None), Fine()),
    "nobody to compare with, and failing": (
        read(50, 50, champion=None, shift=None),
        Worse("50 of 50 answers failed: 100 % of at most 2 % (analysis.errors)"),
    ),
}


@pytest.mark.parametrize(("figures", "judgement"), JUDGED.values(), ids=JUDGED.keys())
def test_a_challenger_is_judged_by_the_rules_of_its_gate(figures: TrafficRead, judgement: Judgement) -> None:
    assert judge(RULES, figures) == judgement


def test_our_own_requests_are_nobody_s() -> None:
    both = read(70, 1, champion=Traffic(60, 0, 0.1))
    left = without_ours(both, 30)
    assert (left.champion, left.challenger) == (Traffic(30, 0, 0.1), Traffic(40, 1, 0.1))
    assert judge(RULES, both) != judge(RULES, left) == Inconclusive("40 answers of 50 (analysis.requests)")
    assert without_ours(both, 1000).challenger == Traffic(1, 1, 0.1)


def test_a_gate_that_does_not_look_at_predictions_does_without_them() -> None:
    rules: AnalysisRules = dataclasses.replace(RULES, shift=1.0)
    assert judge(rules, read(50, shift=None)) == Fine()
    assert judge(rules, read(50, shift=1.0)) == Fine()


@pytest.mark.parametrize(
    ("p95", "champion", "judgement"),
    [
        (0.024, 0.004, Fine()),
        (0.0241, 0.004, Worse("p95 24.1 ms of at most 24.0 ms, 20 ms above the champion's (analysis.slack)")),
        (0.15, 0.1, Fine()),
        (0.16, 0.1, Worse("p95 160 ms of at most 150 ms, 1.5 times the champion's (analysis.latency)")),
    ],
)
def test_milliseconds_of_noise_are_no_slowness(p95: float, champion: float, judgement: Judgement) -> None:
    rules = dataclasses.replace(RULES, slack=0.02)
    assert judge(rules, read(50, p95=p95, champion=Traffic(1000, 5, champion))) == judgement


def test_the_audit_shows_the_figures() -> None:
    assert figures(read(120, 3, 0.04, shift=0.125)) == (
        "challenger: 3 of 120 failed, p95 40 ms; champion: 5 of 1000 failed, p95 100 ms; 12.5% predicted differently"
    )
    assert figures(read(0, p95=None, champion=None, shift=None)) == "challenger: 0 of 0 failed"


FIT = FitRules(memory=0.75, latency=0.2, startup=60, size=GIB)
SMALL = Instance("", 1, 1.0, 2 * GIB)

FITS: dict[str, tuple[FitRules, int, Measured, tuple[str, ...]]] = {
    "all of it": (FIT, GIB // 4, MEASURED, ()),
    "at every bound": (FIT, GIB, Measured(3 * GIB // 2, 0.2, 60.0), ()),
    "nothing was measured": (FIT, 0, Measured(None, None, None), ()),
    "memory": (
        FIT,
        0,
        Measured(int(1.9 * GIB), None, None),
        ("will not fit: 1.9 GiB of 1.5 GiB memory (fit.memory: 75 % of 2.0 GiB)",),
    ),
    "the whole of the memory": (
        dataclasses.replace(FIT, memory=1.0),
        0,
        Measured(int(2.5 * GIB), None, None),
        ("will not fit: 2.5 GiB of 2.0 GiB memory (fit.memory)",),
    ),
    "a byte too many": (
        FIT,
        0,
        Measured(3 * GIB // 2 + (1 << 20), None, None),
        ("will not fit: 1.501 GiB of 1.500 GiB memory (fit.memory: 75 % of 2.0 GiB)",),
    ),
    "size": (FIT, 3 * GIB, MEASURED, ("will not fit: 3.0 GiB of 1.0 GiB artefact (fit.size)",)),
    "latency": (
        FIT,
        0,
        Measured(None, 0.2004, None),
        ("too slow: p95 200.4 ms of at most 200.0 ms (fit.latency)",),
    ),
    "startup": (FIT, 0, Measured(None, None, 95.0), ("starts too slowly: 95 s of at most 60 s (fit.startup)",)),
    "everything": (
        FIT,
        2 * GIB,
        Measured(2 * GIB, 1.0, 600.0),
        (
            "will not fit: 2.0 GiB of 1.0 GiB artefact (fit.size)",
            "will not fit: 2.0 GiB of 1.5 GiB memory (fit.memory: 75 % of 2.0 GiB)",
            "too slow: p95 1000 ms of at most 200 ms (fit.latency)",
            "starts too slowly: 600 s of at most 60 s (fit.startup)",
        ),
    ),
    "no limits": (FitRules(0, 0, 0, 0), 9 * GIB, Measured(9 * GIB, 9.0, 900.0), ()),
}


@pytest.mark.parametrize(("fit", "size", "measured", "sentences"), FITS.values(), ids=FITS.keys())
def test_what_does_not_fit_is_said_with_its_bound(
    fit: FitRules, size: int, measured: Measured, sentences: tuple[str, ...]
) -> None:
    assert unfit(fit, SMALL, size, measured) == sentences


def test_an_instance_of_unknown_memory_limits_none() -> None:
    unknown = dataclasses.replace(SMALL, memory=0)
    assert unfit(FIT, unknown, 0, Measured(9 * GIB, None, None)) == ()


def test_the_size_is_known_before_anything_is_deployed() -> None:
    assert too_large(FIT, GIB) == ""
    assert too_large(FIT, GIB + 1) == "will not fit: 1.000000001 GiB of 1.000000000 GiB artefact (fit.size)"
