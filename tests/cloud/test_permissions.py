"""Which permission a call takes, and who has it: the rules of the local Azure, without any server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local import world
from local.cloud.errors import ArmError
from local.cloud.permissions import Permission, of_arm_call, of_registry_action
from local.cloud.roles import FILE, Roles

GROUP = world.GROUP_ID
REGISTRY = world.registry_id(world.HEALTHY)
WORKSPACE = world.workspace_id("vision")
ML = "Microsoft.MachineLearningServices/workspaces"


@pytest.mark.parametrize(
    ("method", "path", "action", "scope"),
    [
        ("GET", REGISTRY, "Microsoft.ContainerRegistry/registries/read", REGISTRY),
        ("DELETE", REGISTRY + "/", "Microsoft.ContainerRegistry/registries/delete", REGISTRY),
        ("POST", f"{REGISTRY}/importImage", "Microsoft.ContainerRegistry/registries/importImage/action", REGISTRY),
        ("GET", f"{REGISTRY}/runs", "Microsoft.ContainerRegistry/registries/runs/read", REGISTRY),
        (
            "POST",
            f"{REGISTRY}/runs/ca1/cancel",
            "Microsoft.ContainerRegistry/registries/runs/cancel/action",
            f"{REGISTRY}/runs/ca1",
        ),
        ("PUT", WORKSPACE, f"{ML}/write", WORKSPACE),
        ("PUT", f"{WORKSPACE}/models/m/versions/1", f"{ML}/models/versions/write", f"{WORKSPACE}/models/m/versions/1"),
        ("GET", f"{WORKSPACE}/models", f"{ML}/models/read", WORKSPACE),
        ("GET", GROUP, "Microsoft.Resources/subscriptions/resourceGroups/read", GROUP),
        ("GET", f"{GROUP}/resources", "Microsoft.Resources/subscriptions/resourceGroups/resources/read", GROUP),
        (
            "PUT",
            f"{REGISTRY}/providers/Microsoft.Authorization/roleAssignments/1",
            "Microsoft.Authorization/roleAssignments/write",
            f"{REGISTRY}/providers/Microsoft.Authorization/roleAssignments/1",
        ),
        (
            "GET",
            f"{GROUP}/providers/Microsoft.Authorization/locks",
            "Microsoft.Authorization/locks/read",
            GROUP,
        ),
    ],
)
def test_a_call_of_arm_takes_the_action_of_its_method_and_path(method: str, path: str, action: str, scope: str) -> None:
    assert of_arm_call(method, path) == Permission(action, scope)


@pytest.mark.parametrize(
    "path",
    [
        "/tenants",
        "/subscriptions",
        f"/subscriptions/{world.SUBSCRIPTION}",
        f"/subscriptions/{world.SUBSCRIPTION}/resources",
        f"{GROUP}/providers/Microsoft.ContainerRegistry/registries",
        f"/subscriptions/{world.SUBSCRIPTION}/providers/Microsoft.ContainerRegistry/locations/x/operationResults/1",
    ],
)
def test_what_anyone_may_ask_takes_nothing(path: str) -> None:
    assert of_arm_call("GET", path) is None


def claims(principal: str) -> dict[str, str]:
    return {"appid": world.client_id(principal)}


def test_a_grant_holds_in_its_scope_alone() -> None:
    roles = Roles(FILE)
    push = [of_registry_action("push", world.registry_id(name)) for name in (world.STAGING, world.HEALTHY)]

    assert [roles.allows(claims("model-developer"), one) for one in push] == [True, False]
    assert [roles.allows(claims("events-app"), one) for one in push] == [False, True]


def test_a_role_on_the_group_holds_everywhere_in_it_and_not_above() -> None:
    roles = Roles(FILE)

    assert roles.allows(claims("operator"), Permission(f"{ML}/read", WORKSPACE))
    assert not roles.allows(claims("operator"), Permission("Microsoft.Compute/skus/read", "/subscriptions/another"))


def test_who_is_not_known_has_nothing_and_the_owner_everything() -> None:
    roles = Roles(FILE)
    read = Permission("Microsoft.ContainerRegistry/registries/read", REGISTRY)

    assert not roles.allows({"appid": "00000000-0000-0000-0000-00000000c11e"}, read)
    assert not roles.allows({}, read)
    assert roles.allows(claims(world.OWNER), read)


def test_without_a_file_nobody_is_refused() -> None:
    Roles(None).require({}, Permission("Microsoft.ContainerRegistry/registries/delete", REGISTRY))


def test_a_refusal_names_who_what_and_where() -> None:
    with pytest.raises(ArmError, match="registries/delete' over scope") as refusal:
        Roles(FILE).require(claims("operator"), Permission("Microsoft.ContainerRegistry/registries/delete", REGISTRY))

    assert (refusal.value.status, refusal.value.code) == (403, "AuthorizationFailed")
    assert world.client_id("operator") in refusal.value.message
    assert REGISTRY in refusal.value.message


def test_a_grant_that_is_taken_away_is_missed(tmp_path: Path) -> None:
    stored = json.loads(FILE.read_text())
    stored["grants"] = [each for each in stored["grants"] if each["principal"] != "approver"]
    (tmp_path / "roles.json").write_text(json.dumps(stored))
    read = Permission(f"{ML}/models/read", WORKSPACE)

    assert Roles(FILE).allows(claims("approver"), read)
    assert not Roles(tmp_path / "roles.json").allows(claims("approver"), read)
