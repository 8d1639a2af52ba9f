"""Which hosts the run history of a workspace talks to, and what it makes of their answers; nothing leaves this process."""

from __future__ import annotations

import pytest

from tests.contract.wire import Wire
from tests.tasks.tasks import LocalCredential
from tidegate.adapters.machine_learning.run_history import RunDetails, RunHistory
from tidegate.errors import TransientError
from tidegate.references import JobRef

JOB = JobRef("vision", "r1")
DISCOVERY = "https://ml.azureml.ms/discovery"
LOG = "https://x.blob.core.windows.net/logs/std_log.txt?sig=canary"


def on(wire: Wire, discovery: str = DISCOVERY) -> RunHistory:
    history = RunHistory("/subscriptions/s", discovery, LocalCredential())
    history._session.mount("https://", wire)
    return history


def test_the_host_that_the_workspace_names_gets_a_token_and_tells_of_the_run() -> None:
    run = {"status": "Failed", "error": {"error": {"code": "UserError", "message": "no"}}, "parentRunId": "p1"}
    wire = Wire({DISCOVERY: (200, {"api": "https://eu.api.azureml.ms"}), "https://eu.api.azureml.ms/": (200, run)})
    details = on(wire).details(JOB)
    assert (details.status, details.code, details.message, details.parent) == ("failed", "UserError", "no", "p1")
    address = "https://eu.api.azureml.ms/history/v1.0/subscriptions/s/runs/r1/details"
    assert wire.asked == [(DISCOVERY, False), (address, True)]


@pytest.mark.parametrize(
    "api",
    ["https://evil.example", "http://eu.api.azureml.ms", "https://azureml.ms.evil.example", "https://xazureml.ms", ""],
)
def test_a_host_that_is_not_the_service_gets_no_token_and_is_not_asked(api: str) -> None:
    wire = Wire({DISCOVERY: (200, {"api": api})})
    assert on(wire).details(JOB) == RunDetails()
    assert on(wire).failed_children(JOB, 10) == ()
    assert {address for address, _ in wire.asked} == {DISCOVERY}
    assert on(silent := Wire({}), api).details(JOB) == RunDetails()
    assert silent.asked == []


@pytest.mark.parametrize("status", [401, 408, 429, 500, 503])
def test_a_history_that_does_not_answer_now_is_asked_again_later(status: int) -> None:
    wire = Wire({DISCOVERY: (200, {"api": "https://eu.api.azureml.ms"}), "https://eu.api.azureml.ms/": (status, {})})
    with pytest.raises(TransientError):
        on(wire).details(JOB)


@pytest.mark.parametrize(
    "link",
    ["http://x.blob.core.windows.net/a", "https://evil.example/a", "https://blob.core.windows.net.evil.example/a"],
)
def test_a_log_of_another_host_is_not_read(link: str) -> None:
    wire = Wire({})
    assert on(wire).log(RunDetails(logs={"user_logs/std_log.txt": link}), 100) == ""
    assert wire.asked == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_log_that_cannot_be_read_now_is_asked_for_later_and_its_link_is_not_told(status: int) -> None:
    with pytest.raises(TransientError) as caught:
        on(Wire({LOG: (status, "")})).log(RunDetails(logs={"user_logs/std_log.txt": LOG}), 100)
    assert "canary" not in str(caught.value)


def test_the_most_telling_log_is_read() -> None:
    logs = {name: f"https://x.blob.core.windows.net/{name}" for name in ("system_logs/a.txt", "user_logs/std_log.txt")}
    wire = Wire({"https://x.blob.core.windows.net/": (206, "the end")})
    assert on(wire).log(RunDetails(logs=logs), 100) == '"the end"'
    assert {address.rpartition("/")[2] for address, _ in wire.asked} == {"std_log.txt"}
