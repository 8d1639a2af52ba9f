"""What a run of ACR Tasks means for the image it tested."""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Callable

from tidegate.adapters.registry.task_text import STEP
from tidegate.ports import TestErrored, TestFailed, TestPassed, TestRunning, TestStatus

END_OF_LOG = 8 * 1024
"""Bytes of the log's end that surely hold the agent's last words."""

# The agent ends with 1 whatever its step ended with, and the run's own message repeats that. What the step ended with is
# the agent's last line but one; what the image wrote comes before it. (Public source: Azure/acr-builder.)
_LAST_WORDS = re.compile(rf"^failed to run step ID: {STEP}: (?P<cause>.+)$", re.MULTILINE)
_EXIT = re.compile(r"exit status (\d+)\Z")
_DOCKER_FAILED = 125  # docker run: docker itself failed; 126 and 127: the command cannot be run, or is not there
_CANNOT_RUN = {126: "cannot be executed", 127: "is not in the image"}
_KILLED = 137


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """A run as the service tells of it, ended or not. Not among it: `provisioningState`, which is Succeeded for failed runs."""

    run: str
    status: str
    message: str
    started: datetime.datetime | None
    finished: datetime.datetime | None


def verdict(ended: Ended, end_of_log: Callable[[], bytes]) -> TestStatus:
    """The log is asked for only if the run failed. Without the agent's last words there is no verdict."""
    match ended.status:
        case "Succeeded":
            return TestPassed()
        case "Timeout":
            return TestFailed(_too_long(ended))
        case "Failed":
            found = list(_LAST_WORDS.finditer(end_of_log().decode(errors="replace")))
            return _failed(ended, found[-1]["cause"].strip() if found else "")
        case "Canceled" | "Error" as status:
            return TestErrored(f"run {ended.run} ended as {status}: {ended.message or 'no reason given'}")
        case _:  # Queued, Started, Running, and words we do not know: the flow's deadline ends the wait
            return TestRunning()


def _failed(ended: Ended, cause: str) -> TestStatus:
    if "deadline exceeded" in cause:
        return TestFailed(_too_long(ended))
    found = _EXIT.search(cause)
    code = int(found[1]) if found else _DOCKER_FAILED
    if code == _DOCKER_FAILED:
        return TestErrored(
            f"run {ended.run}: the image could not be run ({cause or ended.message or 'no reason given'})"
        )
    if code in _CANNOT_RUN:
        return TestFailed(f"the command {_CANNOT_RUN[code]} (exit status {code})")
    if code == _KILLED:
        return TestFailed(f"the command was killed, for example for its memory (exit status {code})")
    return TestFailed(f"the command ended with exit status {code}")


def _too_long(ended: Ended) -> str:
    if ended.started is None or ended.finished is None:
        return "the test took longer than its time"
    seconds = (ended.finished - ended.started).total_seconds()
    return f"the test took longer than its time, and was stopped after {seconds:.0f} s"
