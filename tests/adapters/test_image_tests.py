"""What a run's record means."""

from __future__ import annotations

import pytest
from azure.mgmt.containerregistrytasks.models import RunProperties

from tidegate import ports
from tidegate.adapters.image_tests import verdict

FAILED = "failed during run, err: exit status "


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        ("Queued", None, ports.TestRunning()),
        ("Started", None, ports.TestRunning()),
        ("Running", None, ports.TestRunning()),
        ("SomethingNew", None, ports.TestRunning()),
        ("Succeeded", None, ports.TestPassed()),
        ("Failed", FAILED + "1", ports.TestFailed("the command ended with exit status 1")),
        ("Failed", FAILED + "126", ports.TestFailed("the command cannot be executed (exit status 126)")),
        ("Failed", FAILED + "127", ports.TestFailed("the command is not in the image (exit status 127)")),
        (
            "Failed",
            FAILED + "137",
            ports.TestFailed("the command was killed, for example for its memory (exit status 137)"),
        ),
        ("Failed", FAILED + "125", ports.TestErrored(f"run ca1: the image could not be run ({FAILED}125)")),
        ("Failed", "failed to pull", ports.TestErrored("run ca1: the image could not be run (failed to pull)")),
        ("Failed", None, ports.TestErrored("run ca1: the image could not be run (no reason given)")),
        ("Canceled", None, ports.TestErrored("run ca1 ended as Canceled: no reason given")),
        ("Error", "agent lost", ports.TestErrored("run ca1 ended as Error: agent lost")),
    ],
)
def test_a_status_is_a_verdict(status: str, message: str | None, expected: ports.TestStatus) -> None:
    record = {"runId": "ca1", "status": status, "runErrorMessage": message, "provisioningState": "Succeeded"}
    run = RunProperties(record)
    assert verdict(run) == expected


@pytest.mark.parametrize(("status", "message"), [("Timeout", None), ("Failed", "context deadline exceeded")])
def test_a_run_that_took_too_long_failed(status: str, message: str | None) -> None:
    times = {"startTime": "2026-03-02T08:00:00.1234567Z", "finishTime": "2026-03-02T08:05:01.5Z"}
    run = RunProperties({"runId": "ca1", "status": status, "runErrorMessage": message, **times})
    assert verdict(run) == ports.TestFailed("the test took longer than its time, and was stopped after 301 s")
