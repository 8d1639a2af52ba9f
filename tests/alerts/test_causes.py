"""Why runs fail: the shipped rules on lines as clouds, containers and frameworks write them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from tidegate.flows.alerts.alert_policy import CAUSES
from tidegate.flows.jobs.cause_rules import SHIPPED
from tidegate.flows.jobs.job_facts import JobFacts
from tidegate.flows.patterns import matches, occurs
from tidegate.gates import DEFAULT_ALERTS
from tidegate.references import JobRef

EXAMPLES = [(rule.cause, line) for rule in SHIPPED for line in rule.examples]
TAILS = yaml.safe_load((Path(__file__).parent / "tails.yaml").read_text())
FACTS = JobFacts(JobRef("vision", "r1"), "failed")


@pytest.mark.parametrize(("cause", "line"), EXAMPLES, ids=[f"{cause}-{line[:50]}" for cause, line in EXAMPLES])
@pytest.mark.parametrize("place", ["log", "error"])
def test_a_line_shows_its_cause(place: str, cause: str, line: str) -> None:
    around = f"epoch 3: loss 0.31\n{line}\n" if place == "log" else line
    facts = dataclasses.replace(FACTS, log=around) if place == "log" else dataclasses.replace(FACTS, error=around)
    found = DEFAULT_ALERTS.diagnose(facts)
    assert (found.cause, found.line) == (cause, line)


@pytest.mark.parametrize("tail", TAILS, ids=[f"{tail['cause']}-{tail['line']}" for tail in TAILS])
def test_the_end_of_a_run_has_its_cause_and_shows_the_line_that_says_so(tail: dict[str, str]) -> None:
    facts = dataclasses.replace(
        FACTS, error_code=tail.get("code", ""), error=tail.get("error", ""), log=tail.get("log", "")
    )
    found = DEFAULT_ALERTS.diagnose(facts)
    assert found.cause == tail["cause"]
    assert tail["line"] in found.line


def test_every_cause_has_at_least_five_examples() -> None:
    counts = {cause: sum(each == cause for each, _ in EXAMPLES) for cause in CAUSES if cause != "unknown"}
    assert min(counts.values()) >= 5


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ("", "unknown"),
        ("epoch 3: loss 0.31\nbye\n", "unknown"),
        ("Traceback (most recent call last):\n  File x\nKeyError: 'label'\n", "code"),
        ("CUDA out of memory. Tried to allocate\nTraceback (most recent call last):\nRuntimeError: stop\n", "memory"),
        ("The node tvmps_1 was evicted\nTraceback (most recent call last):\nKeyboardInterrupt\n", "eviction"),
        ("Spot VM was evicted\nTraceback (most recent call last):\nValueError: nan\n", "code"),
        ("Spot VM was evicted\nCUDA out of memory\n", "memory"),
        ("resumes after the eviction notice received earlier\n" + "step\n" * 80 + "ValueError: nan\n", "code"),
    ],
    ids=[
        "nothing",
        "no rule",
        "code",
        "memory before its traceback",
        "eviction before its traceback",
        "survived eviction",
        "memory after an eviction",
        "old eviction",
    ],
)
def test_the_outer_cause_wins_and_old_news_does_not(log: str, cause: str) -> None:
    assert DEFAULT_ALERTS.diagnose(dataclasses.replace(FACTS, log=log)).cause == cause


def test_the_rule_and_the_line_that_decided_are_said() -> None:
    facts = dataclasses.replace(FACTS, log="MemoryError: first\nMemoryError: last\nbye", error="exited with code 1")
    found = DEFAULT_ALERTS.diagnose(facts)
    assert (found.rule, found.line) == ("memory", "MemoryError: last")


@pytest.mark.parametrize(
    ("pattern", "text", "whole", "part"),
    [
        ("abc", "ABC", True, True),
        ("abc", "xabcx", False, True),
        ("a*c", "abbbc", True, True),
        ("a*c", "ac", True, True),
        ("a*c", "ca", False, False),
        ("*a", "ba", True, True),
        ("a*", "ab", True, True),
        ("*", "", True, True),
        ("ab*ba", "aba", False, False),
        ("a*b*c", "a-c-b", False, False),
        ("", "x", False, True),
        ("a.c", "abc", False, False),
    ],
)
def test_a_pattern_means_what_it_says(pattern: str, text: str, whole: bool, part: bool) -> None:
    assert (matches(pattern, text), occurs(pattern, text)) == (whole, part)
