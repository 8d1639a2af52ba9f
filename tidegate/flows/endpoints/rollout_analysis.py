"""Whether a challenger fits its place and is as good as the champion: pure judgement on what was measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tidegate.flows.endpoints.rollout_messages import TrafficRead
from tidegate.flows.models.model_facts import Measured, Traffic
from tidegate.flows.models.model_gate import AnalysisRules, FitRules, Instance

GIB = 1 << 30
_MOST_DECIMALS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Fine:
    """As good as the champion, as far as can be seen, or better."""


@dataclasses.dataclass(frozen=True, slots=True)
class Worse:
    """It breaks a rule."""

    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Inconclusive:
    """Nothing can be said yet."""

    reason: str


type Judgement = Fine | Worse | Inconclusive


# Between the steps ---------------------------------------------------------------------------------------------------


def without_ours(read: TrafficRead, asked: int) -> TrafficRead:
    """The figures without the sample requests of earlier looks, which the service counts like any other."""

    def less(traffic: Traffic) -> Traffic:
        return dataclasses.replace(traffic, requests=max(traffic.requests - asked, traffic.failed))

    champion = None if read.champion is None else less(read.champion)
    return dataclasses.replace(read, champion=champion, challenger=less(read.challenger))


def judge(rules: AnalysisRules, read: TrafficRead) -> Judgement:
    """The challenger's figures against the rules of its gate. What is bad enough is said at once, good needs enough answers."""
    worse = _errors(rules, read) or _latency(rules, read) or _shift(rules, read)
    if worse:
        return Worse(worse)
    requests = read.challenger.requests
    if requests < rules.requests:
        return Inconclusive(f"{requests} answers of {rules.requests} (analysis.requests)")
    if read.champion is not None and rules.shift < 1 and read.shift is None:
        return Inconclusive("the predictions could not be compared with the champion's (analysis.shift)")
    return Fine()


def _errors(rules: AnalysisRules, read: TrafficRead) -> str:
    """Too many failed, even if every answer that is still missing were good."""
    failed, requests = read.challenger.failed, read.challenger.requests
    if failed <= rules.errors * max(requests, rules.requests):
        return ""
    share, most = percents(failed / max(requests, 1), rules.errors)
    return f"{failed} of {requests} answers failed: {share} of at most {most} (analysis.errors)"


def _latency(rules: AnalysisRules, read: TrafficRead) -> str:
    """It is slower than the champion, and both have been asked often enough to say so."""
    before = read.champion
    enough = max(rules.requests, 1)
    if before is None or read.challenger.requests < enough or before.requests < enough:
        return ""
    mine, theirs = read.challenger.p95, before.p95
    if mine is None or theirs is None:
        return ""
    by_ratio, by_slack = rules.latency * theirs, theirs + rules.slack
    if mine <= max(by_ratio, by_slack):
        return ""
    took, most = milliseconds(mine, max(by_ratio, by_slack))
    if by_ratio >= by_slack:
        return f"p95 {took} of at most {most}, {rules.latency:g} times the champion's (analysis.latency)"
    return f"p95 {took} of at most {most}, {rules.slack * 1000:.0f} ms above the champion's (analysis.slack)"


def _shift(rules: AnalysisRules, read: TrafficRead) -> str:
    if read.shift is None or rules.shift >= 1 or read.shift <= rules.shift:
        return ""
    share, most = percents(read.shift, rules.shift)
    return f"{share} of the predictions differ from the champion's, at most {most} may (analysis.shift)"


def figures(read: TrafficRead) -> str:
    """What was read, in one line, for the audit."""
    parts = []
    for name, traffic in (("challenger", read.challenger), ("champion", read.champion)):
        if traffic is not None:
            p95 = "" if traffic.p95 is None else f", p95 {traffic.p95 * 1000:.0f} ms"
            parts.append(f"{name}: {traffic.failed} of {traffic.requests} failed{p95}")
    if read.shift is not None:
        parts.append(f"{read.shift:.1%} predicted differently")
    return "; ".join(parts)


# Before any traffic --------------------------------------------------------------------------------------------------


def too_large(fit: FitRules, size: int) -> str:
    """Why the artefact does not fit, known before anything is deployed; empty: it does."""
    if not fit.size or size <= fit.size:
        return ""
    needs, has = sizes(size, fit.size)
    return f"will not fit: {needs} of {has} artefact (fit.size)"


def unfit(fit: FitRules, instance: Instance, size: int, measured: Measured) -> tuple[str, ...]:
    """Every bound of the gate that the deployment breaks, a sentence each. What was not measured is not judged."""
    found = (
        too_large(fit, size),
        _memory(fit, instance, measured.memory),
        _latency_of_samples(fit, measured.latency),
        _startup(fit, measured.startup),
    )
    return tuple(sentence for sentence in found if sentence)


def _memory(fit: FitRules, instance: Instance, peak: int | None) -> str:
    limit = fit.memory * instance.memory
    if peak is None or not limit or peak <= limit:
        return ""
    needs, has = sizes(peak, limit)
    whole = "" if fit.memory == 1 else f": {fit.memory * 100:g} % of {instance.memory / GIB:.1f} GiB"
    return f"will not fit: {needs} of {has} memory (fit.memory{whole})"


def _latency_of_samples(fit: FitRules, p95: float | None) -> str:
    if p95 is None or not fit.latency or p95 <= fit.latency:
        return ""
    took, most = milliseconds(p95, fit.latency)
    return f"too slow: p95 {took} of at most {most} (fit.latency)"


def _startup(fit: FitRules, startup: float | None) -> str:
    if startup is None or not fit.startup or startup <= fit.startup:
        return ""
    took, most = _apart(startup, fit.startup, 0, lambda value, decimals: f"{value:.{decimals}f} s")
    return f"starts too slowly: {took} of at most {most} (fit.startup)"


# Figures as people read them -----------------------------------------------------------------------------------------


def sizes(one: float, other: float) -> tuple[str, str]:
    """Two numbers of bytes, in the unit of the smaller one."""
    unit, name = (GIB, "GiB") if min(one, other) >= GIB else (1 << 20, "MiB")
    return _apart(one / unit, other / unit, 1, lambda value, decimals: f"{value:.{decimals}f} {name}")


def milliseconds(one: float, other: float) -> tuple[str, str]:
    """Two times in seconds."""
    return _apart(one * 1000, other * 1000, 0, lambda value, decimals: f"{value:.{decimals}f} ms")


def percents(one: float, other: float) -> tuple[str, str]:
    """Two shares."""
    return _apart(one * 100, other * 100, 0, lambda value, decimals: f"{value:.{decimals}f} %")


def _apart(one: float, other: float, least: int, text: Callable[[float, int], str]) -> tuple[str, str]:
    """With as many decimals as it takes to tell the two apart: 1.51 of 1.50, never 1.5 of 1.5."""
    for decimals in range(least, _MOST_DECIMALS + 1):
        texts = text(one, decimals), text(other, decimals)
        if texts[0] != texts[1]:
            return texts
    return text(one, _MOST_DECIMALS), text(other, _MOST_DECIMALS)
