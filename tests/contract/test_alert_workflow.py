"""The alert workflow: the deployed definition itself, run by the stand-in, and the adapter that calls it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import TokenCredential

from local.cloud.workflow_language import UnsupportedError
from local.cloud.workflow_run import RefusedError, Workflow, load
from local.site import send
from tests.cloud.world import LocalCloud
from tests.contract.registries import SETTINGS
from tests.contract.wire import ELSEWHERE, Wire
from tests.fakes import FakeSecrets
from tidegate.adapters.alert_email import AlertWorkflow
from tidegate.adapters.azure_calls import credential
from tidegate.adapters.secrets import KeyVaultSecrets
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.alerts.alert_mail import Mail

DEFINITION = (Path(__file__).parents[2] / "infra/data/alert-email.workflow.json").read_text(encoding="utf-8")
REQUEST = {"id": "1", "severity": "error", "subject": "s", "html": "<p>h</p>", "text": "t", "to": []}
PARAMETERS: dict[str, Any] = {
    "$connections": {"office365": {"connectionId": "c"}},
    "recipients": {"error": "a@x.example; b@x.example"},
    "sender": "s@x.example",
    "communicationEndpoint": "https://c",
}
MAIL = Mail(
    "team/1", "error", "Litter failed", "It failed.\n", "<p>It failed.</p>", ("a@team.example", "b@team.example")
)


def run(request: Any, status: int = 200, **parameters: Any) -> tuple[int, list[tuple[str, Mapping[str, Any]]]]:
    sent: list[tuple[str, Mapping[str, Any]]] = []

    async def connect(kind: str, inputs: Mapping[str, Any]) -> tuple[int, Any]:
        sent.append((kind, inputs))
        return status, None

    reply = asyncio.run(load(DEFINITION).run(request, {**PARAMETERS, **parameters}, connect))
    return reply.status, sent


def test_office_365_gets_the_recipients_of_the_severity() -> None:
    status, [(kind, inputs)] = run(REQUEST)
    assert (status, kind, inputs["path"]) == (200, "ApiConnection", "/v2/Mail")
    assert inputs["body"] == {
        "To": "a@x.example; b@x.example",
        "Subject": "s",
        "Body": "<p>h</p>",
        "Importance": "High",
    }


def test_communication_services_get_each_address_text_and_html() -> None:
    status, [(kind, inputs)] = run({**REQUEST, "to": ["c@x.example", "d@x.example"]}, 202, transport="communication")
    assert (status, kind) == (200, "Http")
    assert inputs["body"]["recipients"]["to"] == [{"address": "c@x.example"}, {"address": "d@x.example"}]
    assert inputs["body"]["content"] == {"subject": "s", "html": "<p>h</p>", "plainText": "t"}


def test_the_answer_waits_for_no_second_try_and_no_delivery() -> None:
    """Whoever posts tries again after 25 s, so a workflow that still tries by itself by then would send a mail twice."""
    cases = json.loads(DEFINITION)["actions"]["Send"]["cases"]
    sending = [
        each
        for case in cases.values()
        for each in case["actions"].values()
        if each["type"] in ("ApiConnection", "Http")
    ]
    assert [each["inputs"]["retryPolicy"] for each in sending] == [{"type": "None"}] * 2
    assert [each["operationOptions"] for each in sending if each["type"] == "Http"] == ["DisableAsyncPattern"]


@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_mail_that_was_not_sent_is_answered_with_502(status: int) -> None:
    assert run(REQUEST, status)[0] == 502
    assert run(REQUEST, status, transport="communication")[0] == 502


def test_an_unknown_transport_is_no_success() -> None:
    assert run(REQUEST, transport="pigeon")[0] in (500, 502)


@pytest.mark.parametrize(
    "change", [{"severity": "loud"}, {"subject": "s" * 201}, {"to": "a@x.example"}, {"id": ""}, {"html": None}]
)
def test_a_request_outside_the_schema_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RefusedError):
        run({**REQUEST, **change})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"type": "Foreach"}, "Foreach"),
        ({"type": "Compose", "inputs": "@xpath('x')"}, r"xpath\(\)"),
        ({"type": "Compose", "inputs": "@{triggerBody()"}, "not closed"),
        ({"type": "Compose", "inputs": "@concat('a' 'b')"}, "','"),
        ({"type": "Compose", "inputs": "", "runAfter": {"Nobody": ["Succeeded"]}}, "Nobody"),
    ],
)
def test_what_the_stand_in_does_not_run_is_refused_by_its_name(change: dict[str, Any], named: str) -> None:
    definition = json.loads(DEFINITION)
    definition["actions"] = {"Other": change}
    with pytest.raises(UnsupportedError, match=named):
        Workflow(definition)


@pytest.fixture
def identity(cloud: LocalCloud) -> Iterator[TokenCredential]:
    with credential("") as one:  # type: ignore[attr-defined]  # a managed identity has connections to close
        yield one


@pytest.fixture
def workflow(identity: TokenCredential) -> Iterator[AlertWorkflow]:
    secrets = KeyVaultSecrets(SETTINGS, identity)
    with contextlib.closing(secrets), contextlib.closing(AlertWorkflow(SETTINGS, secrets)) as one:
        yield one


@pytest.mark.stack
def test_a_mail_arrives_by_smtp_with_both_parts(workflow: AlertWorkflow, cloud: LocalCloud) -> None:
    cloud.admin("DELETE", "mailbox")
    workflow.send(MAIL)
    [mail] = cloud.admin("GET", "mailbox")["mails"]
    assert (mail["subject"], mail["to"]) == ("Litter failed", "a@team.example, b@team.example")
    assert (mail["text"], mail["html"].strip()) == ("It failed.\n", "<p>It failed.</p>")


@pytest.mark.stack
def test_a_browser_shows_the_mailbox_and_each_mail_without_running_what_is_in_it(
    workflow: AlertWorkflow, cloud: LocalCloud
) -> None:
    cloud.admin("DELETE", "mailbox")
    address = f"http://127.0.0.1:{cloud.cloud_port}/mail"
    assert "There is no mail yet." in send("GET", address, None, {}).body.decode()
    workflow.send(dataclasses.replace(MAIL, subject="<b>Litter</b> failed"))
    workflow.send(dataclasses.replace(MAIL, id="team/2", subject="Later"))
    page = send("GET", address, None, {}).body.decode()
    subjects = re.findall(r'<a href="(/mail/[^"]+)">([^<]*)</a>', page)
    assert [subject for _, subject in subjects] == ["Later", "&lt;b&gt;Litter&lt;/b&gt; failed"]
    shown = send("GET", f"http://127.0.0.1:{cloud.cloud_port}{subjects[0][0]}", None, {})
    assert shown.body.decode().strip() == "<p>It failed.</p>"
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert "sandbox" in shown.headers["content-security-policy"]
    assert send("GET", f"{address}/..%2Fsecrets.json", None, {}).status == 404


@pytest.mark.stack
@pytest.mark.parametrize(
    ("status", "error"),
    [(400, PermanentError), (404, PermanentError), (413, PermanentError), (429, TransientError), (503, TransientError)],
)
def test_an_answer_says_whether_to_come_back(
    status: int, error: type[Exception], workflow: AlertWorkflow, cloud: LocalCloud
) -> None:
    cloud.fault("status", {"host": "prod-00.westeurope.logic.azure.com"}, status=status, retryAfter=7)
    with pytest.raises(error) as caught:
        workflow.send(MAIL)
    assert "sig=" not in str(caught.value)
    assert caught.value.__cause__ is None
    if isinstance(caught.value, TransientError):
        assert caught.value.retry_after == 7


@pytest.mark.stack
def test_a_renewed_address_is_read_again(workflow: AlertWorkflow, identity: TokenCredential, cloud: LocalCloud) -> None:
    workflow.send(MAIL)
    cloud.fault("status", {"host": "prod-00.westeurope.logic.azure.com", "count": 1}, status=401)
    workflow.send(MAIL)


@pytest.mark.parametrize(
    "address", ["http://x.logic.azure.com/a", "https://evil.example/a", "https://x.logic.azure.com.evil.example/"]
)
def test_an_address_of_another_host_is_never_called(address: str) -> None:
    workflow = AlertWorkflow(SETTINGS, FakeSecrets({"alert-email-url": address}))
    with contextlib.closing(workflow), pytest.raises(PermanentError, match="not the https address"):
        workflow.send(MAIL)


def test_a_workflow_that_sends_us_elsewhere_is_not_followed_with_the_mail() -> None:
    address = "https://x.logic.azure.com/a?sig=canary"
    workflow = AlertWorkflow(SETTINGS, FakeSecrets({"alert-email-url": address}))
    wire = Wire({address: (307, ""), ELSEWHERE: (200, "")})
    workflow._session.mount("https://", wire)
    with contextlib.closing(workflow), pytest.raises(PermanentError, match="307"):
        workflow.send(MAIL)
    assert [asked for asked, _ in wire.asked] == [address]


def test_without_a_workflow_mails_are_refused() -> None:
    workflow = AlertWorkflow(SETTINGS, FakeSecrets())
    with contextlib.closing(workflow), pytest.raises(PermanentError):
        workflow.send(MAIL)
