"""The smoke test against an `az` that answers like a sound environment, and like one with a fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from infra.scripts.azure_cli import AzureCliError
from infra.tests import smoke
from tests.infra.conftest import data

NAMES = {
    "AZURE_RESOURCE_GROUP": "g",
    "STAGING_REGISTRY": "staging",
    "HEALTHY_REGISTRY": "healthy",
    "EVENTS_APP_NAME": "events",
    "API_APP_NAME": "api",
    "STATE_ACCOUNT": "state",
}


def sound(arguments: Sequence[str]) -> Any:
    """An environment as the template makes it."""
    match arguments[:2]:
        case ["functionapp", "function"]:
            mine = data("functions")[arguments[-1]]
            every = data("functions")["events"] + data("functions")["api"]
            return [{"name": f"app/{name}", "isDisabled": name not in mine} for name in every]
        case ["eventgrid", "system-topic"] if "event-subscription" in arguments:
            return [
                {"name": each["name"], "provisioningState": "Succeeded"} for each in data("events")["subscriptions"]
            ]
        case ["rest", _]:
            kind = next(kind for kind in ("queues", "tables", "containers") if f"/{kind}?" in arguments[-1])
            return {"value": [{"name": name} for name in data("state")[kind]]}
        case [group, command]:
            return SOUND[f"{group} {command}"]
        case _:
            raise AssertionError(arguments)


SOUND: dict[str, Any] = {
    "acr show": {"adminUserEnabled": False, "anonymousPullEnabled": False},
    "acr import": None,
    "acr manifest": {"digest": "sha256:1"},
    "lock list": [{"id": "/registries/healthy/providers/locks/l"}],
    "eventgrid system-topic": [{"name": "evgt-staging-registry"}, {"name": "evgt-vision"}],
    "storage account": {"id": "/a", "allowSharedKeyAccess": False},
}


type Check = Callable[[dict[str, str], smoke.Az], Any]


@pytest.mark.parametrize(
    "check", [smoke.registries, smoke.functions, smoke.subscriptions, smoke.storage, smoke.promotion]
)
def test_a_sound_environment_passes(check: Check) -> None:
    found = list(check(NAMES, sound))

    assert found
    assert [each for each in found if each.fault] == []


def but(start: str, value: Any) -> smoke.Az:
    """The sound environment with one other answer."""
    return lambda arguments: value if " ".join(arguments).startswith(start) else sound(arguments)


@pytest.mark.parametrize(
    ("check", "az", "fault"),
    [
        (
            smoke.registries,
            but("acr show", {"adminUserEnabled": True, "anonymousPullEnabled": False}),
            "adminUserEnabled",
        ),
        (smoke.registries, but("lock list", []), "no lock"),
        (smoke.functions, but("functionapp", []), "image_pushed"),
        (smoke.subscriptions, but("eventgrid system-topic event-subscription", []), "missing"),
        (smoke.storage, but("storage account", {"id": "/a", "allowSharedKeyAccess": None}), "allowSharedKeyAccess"),
        (smoke.storage, but("rest", {"value": []}), "tidegate-work"),
    ],
)
def test_a_fault_is_named(check: Check, az: smoke.Az, fault: str) -> None:
    assert any(fault in each.fault for each in check(NAMES, az))


def test_an_image_that_never_arrives_is_a_fault_within_its_time() -> None:
    def az(arguments: Sequence[str]) -> Any:
        if "healthy" in arguments and arguments[:2] == ["acr", "manifest"]:
            raise AzureCliError("not found")
        return sound(arguments)

    (found,) = smoke.promotion(NAMES, az, limit=0.01, pause=0.001)
    assert "nothing arrived" in found.fault


def test_another_image_under_the_same_tag_is_a_fault() -> None:
    def az(arguments: Sequence[str]) -> Any:
        return {"digest": "sha256:2"} if "healthy" in arguments and arguments[1] == "manifest" else sound(arguments)

    (found,) = smoke.promotion(NAMES, az)
    assert found.fault == "sha256:2 is not sha256:1"
