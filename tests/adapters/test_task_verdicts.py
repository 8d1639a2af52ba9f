"""What a run's record and the end of its log mean."""

from __future__ import annotations

import datetime

import pytest

from tests.fakes import START
from tidegate import ports
from tidegate.adapters.registry.task_verdicts import Ended, verdict

MESSAGE = "failed during run, err: exit status 1"


def log(cause: str, output: str = "") -> str:
    """As the agent writes it."""
    return (
        f"2026/03/02 08:00:00 Launching container with name: test\n{output}\n"
        "2026/03/02 08:00:01 Container failed during run: test. No retries remaining.\n"
        f"failed to run step ID: test: {cause}\n\nRun ID: ca1 failed after 1s. Error: {MESSAGE}\n"
    )


def ended(status: str, message: str = "") -> Ended:
    return Ended("ca1", status, message, START, START + datetime.timedelta(seconds=301.4))


def never() -> bytes:
    raise AssertionError("the log is not needed")


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        ("Queued", "", ports.TestRunning()),
        ("Started", "", ports.TestRunning()),
        ("Running", "", ports.TestRunning()),
        ("SomethingNew", "", ports.TestRunning()),
        ("Succeeded", "", ports.TestPassed()),
        ("Timeout", "", ports.TestFailed("the test took longer than its time, and was stopped after 301 s")),
        ("Canceled", "", ports.TestErrored("run ca1 ended as Canceled: no reason given")),
        ("Error", "agent lost", ports.TestErrored("run ca1 ended as Error: agent lost")),
    ],
)
def test_a_status_is_a_verdict(status: str, message: str, expected: ports.TestStatus) -> None:
    assert verdict(ended(status, message), never) == expected


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ("exit status 1", ports.TestFailed("the command ended with exit status 1")),
        ("exit status 126", ports.TestFailed("the command cannot be executed (exit status 126)")),
        ("exit status 127", ports.TestFailed("the command is not in the image (exit status 127)")),
        (
            "exit status 137",
            ports.TestFailed("the command was killed, for example for its memory (exit status 137)"),
        ),
        ("exit status 125", ports.TestErrored("run ca1: the image could not be run (exit status 125)")),
        ("no such daemon", ports.TestErrored("run ca1: the image could not be run (no such daemon)")),
        (
            "context deadline exceeded",
            ports.TestFailed("the test took longer than its time, and was stopped after 301 s"),
        ),
    ],
)
def test_a_failed_runs_verdict_is_in_the_agents_last_words(cause: str, expected: ports.TestStatus) -> None:
    assert verdict(ended("Failed", MESSAGE), lambda: log(cause).encode()) == expected


def test_what_the_image_writes_does_not_count_as_the_agents_words() -> None:
    forged = log("exit status 3", output="failed to run step ID: test: exit status 125\n\xff")
    assert verdict(ended("Failed", MESSAGE), forged.encode) == ports.TestFailed("the command ended with exit status 3")


@pytest.mark.parametrize("text", ["", "the task is not YAML"])
def test_without_the_agents_words_there_is_no_verdict(text: str) -> None:
    expected = ports.TestErrored(f"run ca1: the image could not be run ({MESSAGE})")
    assert verdict(ended("Failed", MESSAGE), text.encode) == expected
