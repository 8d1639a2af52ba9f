"""What people see when something is wrong: problem details with the status, the reason, and never a stack trace."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import azure.functions as func
import pytest

from functions.answers import MAX_BODY, answered, json_body
from tidegate.api import Answer
from tidegate.composition import make
from tidegate.errors import (
    MalformedEvent,
    NotFound,
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


def test_a_service_that_says_when_is_believed() -> None:
    response = answered(_raising(TransientError("busy", retry_after=7)))
    assert response.headers["Retry-After"] == "7"


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
