"""Which outcomes of deliveries people hear of, under which incident, and with what in the mail."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from tidegate.flows.alerts.incident import Raised
from tidegate.flows.alerts.notices import Alert
from tidegate.flows.alerts.outcome_alerts import alert_of
from tidegate.flows.base import Publish, Tell
from tidegate.flows.models.record_keys import delivery_key
from tidegate.gates import DEFAULT_ALERTS
from tidegate.references import ModelRef

NOW = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=datetime.UTC)
FIELDS = {
    "workspace": "vision",
    "model": "digits",
    "version": "7",
    "stage": "pro",
    "endpoint": "digits-pro",
    "gate": "digits",
    "reason": "12 % of answers failed",
}


def told(kind: str, **fields: Any) -> tuple[str, Alert]:
    """Key of the incident's record, and the alert."""
    data = {**FIELDS, **fields}
    news = Publish(f"Tidegate.{kind}", f"digits:{data['version']}", NOW, tuple(data.items()), f"{kind}/1")
    tell = alert_of(news, DEFAULT_ALERTS)
    assert isinstance(tell, Tell)
    assert isinstance(tell.event, Raised)
    return tell.key, tell.event.alert


@pytest.mark.parametrize(
    ("kind", "name", "title"),
    [
        ("ApprovalNeeded", "approval-needed", "digits:7 waits for an approval: pro"),
        ("ModelRejected", "model-rejected", "digits:7 was rejected and goes no further"),
        ("DeliveryErrored", "delivery-errored", "digits:7: delivery is stuck, and somebody must look: pro"),
        ("RolloutPaused", "rollout-paused", "digits:7: its rollout is paused: pro"),
        ("RolledBack", "rolled-back", "digits:7 was rolled back: pro"),
    ],
)
def test_people_hear_what_happened_to_which_version_where_and_why(kind: str, name: str, title: str) -> None:
    _, alert = told(kind)
    assert (alert.kind, alert.title, alert.why) == (name, title, "12 % of answers failed")
    facts = dict(alert.facts)
    assert [facts[label] for label in ("Model", "Version", "Workspace", "Stage", "Endpoint")] == [
        "digits",
        "7",
        "vision",
        "pro",
        "digits-pro",
    ]


@pytest.mark.parametrize("kind", ["ModelDelivered", "StageServing"])
def test_what_went_well_wakes_nobody(kind: str) -> None:
    news = Publish(f"Tidegate.{kind}", "digits:7", NOW, tuple(FIELDS.items()), "x")
    assert alert_of(news, DEFAULT_ALERTS) is None


def test_without_a_stage_the_title_ends_before_it() -> None:
    assert told("RolledBack", stage="")[1].title == "digits:7 was rolled back"


@pytest.mark.parametrize("fields", [{"version": "8"}, {"stage": "int"}, {"evidence": "b"}, {"workspace": "other"}])
def test_every_approval_is_asked_for_by_a_mail_of_its_own(fields: dict[str, str]) -> None:
    assert told("ApprovalNeeded", evidence="a")[0] != told("ApprovalNeeded", **{"evidence": "a", **fields})[0]


def test_versions_of_a_model_that_are_rejected_in_a_row_are_one_incident() -> None:
    assert told("ModelRejected")[0] == told("ModelRejected", version="8")[0]
    assert told("ModelRejected")[0] != told("ModelRejected", stage="int")[0]
    assert told("ModelRejected")[0] != told("DeliveryErrored")[0]


@pytest.mark.parametrize("kind", ["RolledBack", "RolloutPaused"])
def test_every_version_that_got_traffic_and_lost_it_is_an_incident_of_its_own(kind: str) -> None:
    assert told(kind)[0] != told(kind, version="8")[0]
    assert told(kind)[0] != told(kind, stage="int")[0]


def test_an_approval_leads_to_the_record_that_waits() -> None:
    assert told("ApprovalNeeded")[1].approval == f"pro/{delivery_key(ModelRef('vision', 'digits', '7'))}"
    assert told("RolledBack")[1].approval == ""


def test_what_is_wrong_with_two_endpoints_is_two_incidents() -> None:
    unknown = {"workspace": "", "model": "", "stage": ""}
    assert told("DeliveryErrored", **unknown)[0] != told("DeliveryErrored", **unknown, endpoint="other")[0]
    assert told("DeliveryErrored", **unknown)[1].title == "digits:7: delivery is stuck, and somebody must look"
