"""What is asked again within its time is not asked of the service."""

from __future__ import annotations

import pytest

from tidegate.adapters.machine_learning.kept_answers import KeptAnswers
from tidegate.errors import TransientError


def test_an_answer_is_kept_for_its_time_and_for_its_question_alone() -> None:
    now = [100.0]
    kept, asked = KeptAnswers(30, lambda: now[0]), list[str]()

    def answer(what: str) -> str:
        asked.append(what)
        return f"{what} at {now[0]:.0f}"

    def ask(what: str) -> str:
        return kept.get(what, lambda: answer(what))

    assert [ask("a"), ask("a"), ask("b")] == ["a at 100", "a at 100", "b at 100"]
    now[0] = 129
    assert ask("a") == "a at 100"
    now[0] = 131
    assert ask("a") == "a at 131"
    assert asked == ["a", "b", "a"]


def test_a_failure_is_not_kept() -> None:
    kept = KeptAnswers(30)

    def fail() -> str:
        raise TransientError("no answer")

    with pytest.raises(TransientError):
        kept.get("a", fail)
    assert kept.get("a", lambda: "well") == "well"


def test_nothing_grows_without_bound() -> None:
    kept = KeptAnswers(1e9)
    for number in range(10_000):
        kept.get(number, lambda: "x" * 100)
    assert len(kept._answers) <= 256
