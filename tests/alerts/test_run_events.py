"""Events of machine learning workspaces: recorded payloads of every casing, and what breaks a rule."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from tidegate.errors import MalformedEvent
from tidegate.events import envelope, is_run_status, run_status_changed

NOW = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=datetime.UTC)
PAYLOADS = json.loads((Path(__file__).parent / "run_events.json").read_text())
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/vision"


def read(body: Any, workspaces: tuple[str, ...] = ("vision", "jenns-canary", "workspace-name")) -> Any:
    return run_status_changed(envelope(body), workspaces=workspaces, now=NOW)


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_recorded_payload_is_understood(name: str) -> None:
    recorded = PAYLOADS[name]
    assert is_run_status(envelope(recorded["event"]))
    status = read(recorded["event"])
    assert {"workspace": status.job.workspace, "run": status.job.run, "status": status.status} == recorded["means"]


def event(**data: Any) -> dict[str, Any]:
    body = {"runId": "r1", "runStatus": "Failed", "experimentName": "exp", **data}
    return {"id": "1", "source": WORKSPACE, "type": "Microsoft.MachineLearningServices.RunStatusChanged", "data": body}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"runId": None}, "data.runId: missing"),
        ({"runId": "a/../b"}, "is not the id of a run"),
        ({"runId": ".."}, "is not the id of a run"),
        ({"runId": "r" * 300}, "is not the id of a run"),
        ({"runStatus": None}, "data.runStatus: missing"),
        ({"runStatus": "<b>"}, "must be one word"),
        ({"runStatus": 7}, "must be text"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_its_name(data: dict[str, Any], reason: str) -> None:
    with pytest.raises(MalformedEvent, match=reason):
        read(event(**data))


@pytest.mark.parametrize("source", ["", "x", WORKSPACE + "/jobs/1", WORKSPACE.replace("vision", "other"), None, 7])
def test_a_workspace_that_is_not_ours_is_refused(source: Any) -> None:
    with pytest.raises(MalformedEvent, match="topic"):
        read({**event(), "source": source})


def test_a_time_that_cannot_be_read_does_not_fail_the_event() -> None:
    assert read({**event(), "time": "019-03-12T22:42:08Z"}).at == NOW
    assert read({**event(), "time": "2026-03-01T10:00:00.1234567Z"}).at.hour == 10


def test_no_event_is_of_the_future() -> None:
    """Else no success that follows could end its incident."""
    assert read({**event(), "time": "9999-12-31T23:59:59Z"}).at == NOW


def test_the_test_of_an_image_says_so_by_its_tag() -> None:
    assert read(event(runTags={"tidegate.test": "image-promotion:x"})).test_of == "image-promotion:x"
    assert read(event(runTags={"TIDEGATE.TEST": 7})).test_of == ""
