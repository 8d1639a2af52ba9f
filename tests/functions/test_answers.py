"""What people see when something is wrong: problem details with the status, the reason, and never a stack trace."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import azure.functions as func
import pytest

from functions.answers import MAX_BODY, answered, form_body, json_body, sender, to_reader
from tidegate.api.answers import Answer, Page
from tidegate.composition import make
from tidegate.errors import (
    Forbidden,
    MalformedEvent,
    NotFound,
    NotSignedIn,
    PermanentError,
    Refused,
    SettingsError,
    TidegateError,
    TransientError,
)

REQUIRED = {
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "TIDEGATE_STAGING_REGISTRY": "contosostaging",
    "TIDEGATE_HEALTHY_REGISTRY": "contosohealthy",
    "TIDEGATE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000000",
    "TIDEGATE_RESOURCE_GROUP": "rg-tidegate",
}


def _raising(error: Exception) -> Callable[[], Answer]:
    def handle() -> NoReturn:
        raise error

    return handle


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MalformedEvent("tag: missing"), 400),
        (NotSignedIn("sign in"), 401),
        (Forbidden("role: approving needs Approver.pro"), 403),
        (NotFound("no such promotion"), 404),
        (Refused("rejected"), 409),
        (PermanentError("the registry said no"), 502),
        (SettingsError("TIDEGATE_STAGING_REGISTRY: missing"), 503),
        (TransientError("storage does not answer", retry_after=7), 503),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_becomes_problem_details(error: TidegateError, status: int) -> None:
    response = answered(_raising(error))
    problem = json.loads(response.get_body())
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert (problem["status"], problem["detail"]) == (status, str(error))


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("*/*", "application/problem+json"),
        ("", "application/problem+json"),
    ],
)
def test_a_link_that_does_not_hold_is_told_on_a_page_to_a_browser_and_as_json_to_a_program(
    accept: str, mimetype: str
) -> None:
    request = func.HttpRequest("GET", "/api/actions/mute", headers={"Accept": accept} if accept else {}, body=b"")
    response = to_reader(request, _raising(NotSignedIn("link: <b>not</b> ours")))
    assert (response.status_code, response.mimetype) == (401, mimetype)
    assert response.headers["WWW-Authenticate"]
    body = response.get_body().decode()
    assert ("&lt;b&gt;not&lt;/b&gt;" in body) == (mimetype == "text/html")
    assert ("frame-ancestors" in response.headers["Content-Security-Policy"]) == (mimetype == "text/html")


def test_a_service_that_says_when_is_believed() -> None:
    response = answered(_raising(TransientError("busy", retry_after=7)))
    assert response.headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("error", "challenge"),
    [
        (NotSignedIn("sign in: show a token"), 'Bearer realm="tidegate"'),
        (
            NotSignedIn("token: it has expired", is_token=True),
            'Bearer realm="tidegate", error="invalid_token", error_description="it has expired"',
        ),
    ],
)
def test_who_is_not_signed_in_is_told_how(error: NotSignedIn, challenge: str) -> None:
    assert answered(_raising(error)).headers["WWW-Authenticate"] == challenge


def test_a_page_sends_its_origin_to_this_site_and_nothing_to_others() -> None:
    """With `no-referrer` a browser says `Origin: null` for the page's own form, which is then refused (Fetch, 3.2)."""
    headers = answered(lambda: Answer(Page("<!doctype html>"))).headers

    assert headers["Referrer-Policy"] == "same-origin"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "form-action 'self'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Robots-Tag"] == "noindex"


def _form(body: bytes, kind: str = "application/x-www-form-urlencoded; charset=utf-8") -> func.HttpRequest:
    return func.HttpRequest("POST", "/api/decisions", headers={"Content-Type": kind}, body=body)


def test_a_form_is_read_and_a_body_of_another_kind_has_no_fields() -> None:
    assert form_body(_form(b"answer=approve&reason=gut+%C3%BC&evidence=")) == {
        "answer": "approve",
        "reason": "gut ü",
        "evidence": "",
    }
    assert form_body(_form(b'{"answer": "approve"}', "application/json")) == {}
    assert form_body(_form(b"answer=approve", "text/plain")) == {}
    assert form_body(_form(b"")) == {}


@pytest.mark.parametrize("body", [b"a=%FF", b"\xff=1", b"&".join(b"a=1" for _ in range(50)), b"x" * (MAX_BODY + 1)])
def test_a_form_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedEvent, match="body:"):
        form_body(_form(body))


def test_what_a_request_shows_is_taken_from_its_headers_alone() -> None:
    headers = {
        "Authorization": "Bearer t",
        "X-MS-Client-Principal": "e30=",
        "Origin": "https://app.example",
        "X-Api-Key": "k",
    }
    shown = sender(func.HttpRequest("POST", "/api/x", headers=headers, params={"code": "c"}, body=b""))

    assert (shown.bearer, shown.key, shown.origin, shown.session) == ("t", "k", "https://app.example", "")


def test_text_of_images_cannot_become_a_page() -> None:
    response = answered(lambda: Answer(b"<script>alert(1)</script>"))
    assert response.mimetype == "text/plain"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"x" * (MAX_BODY + 1)])
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    request = func.HttpRequest("POST", "/api/promotions", body=body)
    with pytest.raises(MalformedEvent, match="body:"):
        json_body(request)


def test_all_missing_settings_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        make({}, "work")
    for name in REQUIRED:
        if name.startswith("TIDEGATE_"):
            assert f"{name}: missing" in str(caught.value)


def test_a_setting_whose_key_vault_reference_was_not_resolved_is_refused() -> None:
    reference = "@Microsoft.KeyVault(VaultName=v;SecretName=n)"
    with pytest.raises(SettingsError, match="TIDEGATE_STAGING_REGISTRY: unresolved Key Vault reference"):
        make({**REQUIRED, "TIDEGATE_STAGING_REGISTRY": reference}, "work")


def test_two_registries_that_are_one_are_refused() -> None:
    with pytest.raises(SettingsError, match="TIDEGATE_HEALTHY_REGISTRY: is the staging registry"):
        make({**REQUIRED, "TIDEGATE_HEALTHY_REGISTRY": "ContosoStaging.azurecr.io"}, "work")


def test_a_mistake_in_the_gates_is_answered_with_its_line(tmp_path: Path) -> None:
    gates = tmp_path / "gates.yaml"
    gates.write_text("version: 1\nimages:\n  - name: a\n    match: {repository: a/*}\n    tst: {timeout: 10x}\n")
    with pytest.raises(SettingsError) as caught:
        make({**REQUIRED, "TIDEGATE_GATES_FILE": str(gates)}, "work")
    assert f"{gates}:5:" in str(caught.value)
    assert "test" in str(caught.value)  # what would be allowed


def test_a_page_has_one_style_which_its_policy_allows_by_hash() -> None:
    answer = answered(lambda: Answer(Page("<!doctype html><html><head></head><body><h1>Muted</h1></body></html>")))
    text = answer.get_body().decode()
    style = text.partition("<style>")[2].partition("</style>")[0]

    expected = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{expected}'" in answer.headers["Content-Security-Policy"]
    assert text.count("<style>") == 1
    assert "<h1>Muted</h1>" in text
