"""Who may do what, by data/roles.json: every case of the role test, and every call of the adapters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra import access
from infra.tests import roles
from infra.tests.roles import Case

CASES = roles.read()
NEEDED = json.loads(Path(__file__).with_name("adapter_actions.json").read_text())["adapters"]


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.principal} {case.why} ({case.action.rpartition('/')[0]})"
)
def test_a_role_allows_what_it_needs_and_refuses_the_rest(case: Case) -> None:
    assert access.read().allows(case.principal, case.scope, case.action, data=case.data) == case.allowed


@pytest.mark.parametrize("app", ["events-app", "api-app"])
@pytest.mark.parametrize("call", NEEDED, ids=lambda call: call["call"])
def test_an_app_may_do_every_call_of_its_adapters(app: str, call: dict[str, str]) -> None:
    """Both apps hold the same code, and a promotion by hand does what an event does."""
    assert access.read().allows(app, call["scope"], call["action"], data=call["plane"] == "data")


def test_the_registry_roles_of_the_apps_hold_nothing_that_no_adapter_calls() -> None:
    held = {
        (grant.scope, action)
        for grant in access.read().grants
        if grant.principal == "events-app" and grant.scope.endswith("-registry")
        for action in access.read().roles[grant.role].actions
    }
    called = {(call["scope"], call["action"]) for call in NEEDED}

    assert held == {each for each in called if each[0].endswith("-registry")}


def test_an_exception_wins_over_what_it_is_an_exception_from() -> None:
    role = access.Role("r", ("A.B/things/*",), ("A.B/things/delete",), (), ())

    assert role.allows("a.b/Things/write")
    assert not role.allows("A.B/things/delete")
    assert not role.allows("A.B/things/read", data=True)


def test_a_grant_reaches_no_other_scope() -> None:
    role = access.Role("r", ("*/read",), (), (), ())
    granted = access.Access({"r": role}, (access.Grant("someone", "workspace", "r"),))

    assert granted.allows("someone", "workspace", "A.B/things/read")
    assert not granted.allows("someone", "key-vault", "A.B/things/read")
    assert not granted.allows("another", "workspace", "A.B/things/read")


def test_the_role_test_tells_a_refusal_from_an_answer() -> None:
    forbidden = Case("someone", "workspace", "PUT", "", "A.B/c/write", allowed=False, why="must not")
    needed = Case("someone", "workspace", "GET", "", "A.B/c/read", allowed=True, why="must")

    def verdict(status: int | None) -> list[bool]:
        return [bool(wrong) for _, wrong in roles.outcomes([forbidden, needed], lambda _: status)]

    assert verdict(403) == [False, True]
    assert verdict(400) == [True, False]
    assert verdict(401) == [True, True]
    assert verdict(None) == [True, True]


def test_the_role_test_finds_the_resources_of_a_group() -> None:
    group = "/subscriptions/s/resourceGroups/g"
    resources = [{"type": "microsoft.containerregistry/registries", "name": "tidegatehealthyx", "id": f"{group}/r/h"}]
    imported = next(each for each in CASES if each.path == "/importImage")

    assert roles.url(imported, group, resources) == f"{roles.ARM}{group}/r/h/importImage?api-version=2025-11-01"
    assert roles.url(imported, group, []) is None
