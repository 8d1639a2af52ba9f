"""Resource Manager by plain requests: what is for good, what is tried again, where the token goes, and what is imported."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import pytest
from aiohttp import web

from tests.adapters.scripted_azure import Identity, ScriptedAzure, refusal
from tidegate.adapters.arm import Arm, fault
from tidegate.errors import PermanentError, TransientError

PATH = "/subscriptions/sub/resourceGroups/rg/providers/A.B/things/one"


@pytest.fixture
def arm(azure: ScriptedAzure) -> Iterator[Arm]:
    with contextlib.closing(Arm(Identity())) as one:
        yield one


def test_a_list_is_taken_page_by_page(arm: Arm, azure: ScriptedAzure) -> None:
    azure.answers[f"GET {PATH}"] = {
        "value": [{"name": "a"}],
        "nextLink": f"https://management.azure.com{PATH}/more?x=1",
    }
    azure.answers[f"GET {PATH}/more"] = {"value": [{"name": "b"}]}
    pages = arm.pages(PATH, "2026-01-01", "things", {"$top": "1"})
    assert next(pages)["name"] == "a"
    assert len(azure.seen) == 1
    assert [each["name"] for each in pages] == ["b"]
    assert [each.query for each in azure.seen] == [{"api-version": "2026-01-01", "$top": "1"}, {"x": "1"}]


def test_a_next_page_elsewhere_gets_no_token(arm: Arm, azure: ScriptedAzure) -> None:
    for link in (
        "https://storage.evil.example/more",
        "http://management.azure.com/more",
        "https://x.management.azure.com/",
    ):
        azure.answers[f"GET {PATH}"] = {"value": [], "nextLink": link}
        with pytest.raises(PermanentError, match="no host of"):
            list(arm.pages(PATH, "2026-01-01", "things"))
    assert {each.host for each in azure.seen} == {"management.azure.com"}


def test_every_call_has_the_identitys_token_for_resource_manager(arm: Arm, azure: ScriptedAzure) -> None:
    azure.answers[f"POST {PATH}"] = {}
    arm.call("POST", PATH, "2026-01-01", "thing", {"a": 1})
    assert azure.seen[0].headers["authorization"] == "Bearer token for https://management.azure.com/.default"
    assert azure.seen[0].json == {"a": 1}


@pytest.mark.parametrize("status", [204, 202])
def test_an_empty_answer_is_an_empty_object(arm: Arm, azure: ScriptedAzure, status: int) -> None:
    azure.answers[f"DELETE {PATH}"] = web.Response(status=status)
    assert arm.call("DELETE", PATH, "2026-01-01", "thing") == {}


def test_reading_what_is_not_there_is_none_and_what_is_forbidden_may_come_later(arm: Arm, azure: ScriptedAzure) -> None:
    assert arm.get(PATH, "2026-01-01", "thing") is None
    azure.answers[f"GET {PATH}"] = refusal(403, "AuthorizationFailed", "no right yet")
    with pytest.raises(TransientError, match=r"^thing: 403 AuthorizationFailed: "):
        arm.get(PATH, "2026-01-01", "thing")


def test_a_refusal_with_a_time_to_wait_is_not_for_good(arm: Arm, azure: ScriptedAzure) -> None:
    azure.answers[f"PUT {PATH}"] = refusal(400, "Later", "busy", **{"Retry-After": "7"})
    with pytest.raises(TransientError) as caught:
        arm.call("PUT", PATH, "2026-01-01", "thing", {})
    assert caught.value.retry_after == 7


def test_a_status_is_never_repeated_by_the_client(arm: Arm, azure: ScriptedAzure) -> None:
    """azure-core would sleep through any Retry-After; the outbox waits at no cost."""
    azure.answers[f"GET {PATH}"] = refusal(429, "TooManyRequests", "later", **{"Retry-After": "600"})
    with pytest.raises(TransientError):
        arm.get(PATH, "2026-01-01", "thing")
    assert len(azure.seen) == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": "OutOfQuota", "message": "a\n b"}, ("OutOfQuota", "a b")),
        ({"code": "BadRequest", "details": [{"code": "Inner", "message": "m"}]}, ("Inner", "m")),
        ({"code": "BadRequest", "message": "m", "details": []}, ("BadRequest", "m")),
        ({"code": "BadRequest", "message": "m", "details": [{"message": "inner"}]}, ("BadRequest", "inner")),
        ({"code": "Known", "message": "m", "details": [{"code": "Inner", "message": "x"}]}, ("Known", "m")),
        ({"code": "x", "message": "y" * 1000}, ("x", "y" * 300)),
        (None, ("", "")),
        ("text", ("", "")),
    ],
)
def test_an_error_has_the_code_that_says_most(error: object, expected: tuple[str, str]) -> None:
    assert fault(error) == expected


def test_an_operation_that_is_no_longer_known_says_nothing(arm: Arm, azure: ScriptedAzure) -> None:
    assert arm.operation(f"https://management.azure.com{PATH}?api-version=1") == {}
    assert arm.operation("https://storage.evil.example/x") == {}
    assert arm.operation("") == {}
    assert len(azure.seen) == 1


def test_putting_the_delivery_of_models_together_imports_nothing_of_azure_ai_ml() -> None:
    """It takes seconds, which an event would wait for."""
    program = "import sys, tidegate.adapters.services, tidegate.adapters.model_services; "
    program += "print([name for name in sys.modules if name.startswith('azure.ai')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() in ("[]", "['azure.ai']")
