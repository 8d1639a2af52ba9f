"""Who may do what, by data/roles.json: every case of the role test, and every call of the adapters."""

from __future__ import annotations

import dataclasses
import json
import time
import urllib.parse
from pathlib import Path
from typing import Any, override

import pytest
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import HttpTransport

from infra import access
from infra.azure import ARM, Arm
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


def test_the_role_on_workspaces_changes_nothing_that_no_adapter_changes() -> None:
    """What it reads is all that a workspace shows; what it writes, deletes and does is called by an adapter."""
    held = {each for each in access.read().roles["model-delivery"].actions if not each.endswith("/read")}

    assert held == {
        call["action"] for call in NEEDED if call["scope"] == "workspace" and not call["action"].endswith("/read")
    }


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


class Enforcing(HttpTransport[Any, Any]):
    """A control plane that asks data/roles.json whether the bearer may do what the address and the method say."""

    def __init__(self, granted: access.Access) -> None:
        self._granted = granted
        self.refused = 0

    @override
    def send(self, request: Any, **_: Any) -> Any:
        principal = request.headers["Authorization"].removeprefix("Bearer ")
        path = urllib.parse.urlsplit(request.url).path.removeprefix(GROUP)
        case = next(
            each for each in CASES if (each.principal, each.method) == (principal, request.method) and fits(each, path)
        )
        if not self.allows(case):
            return Answer(403, {"error": {"code": "AuthorizationFailed"}})
        return (
            Answer(200, {"value": RESOURCES}) if path == "/resources" else Answer(400, {"error": {"code": "Invalid"}})
        )

    def allows(self, case: Case) -> bool:
        allowed = self._granted.allows(case.principal, case.scope, case.action, data=case.data)
        self.refused += not allowed
        return allowed

    def data_status(self, case: Case, *_: object) -> int:
        return 404 if self.allows(case) else 403

    @override
    def open(self) -> None: ...

    @override
    def close(self) -> None: ...

    @override
    def __exit__(self, *_: object) -> None: ...


GROUP = "/subscriptions/s/resourceGroups/g"
RESOURCES = [
    {"type": kind, "name": f"x{word}x", "id": f"{GROUP}/providers/{kind}/x{word}x"}
    for kind, _, word in roles.TYPES.values()
]


def fits(case: Case, path: str) -> bool:
    if case.scope == "resource-group":
        return case.path == path
    kind, _, word = roles.TYPES[case.scope]
    return path == f"/providers/{kind}/x{word}x{case.path}"


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """As much of a response as the client looks at."""

    status_code: int
    body: object
    headers: dict[str, str] = dataclasses.field(default_factory=dict)

    def json(self) -> object:
        return self.body

    def raise_for_status(self) -> None:
        assert self.status_code < 400


@dataclasses.dataclass(frozen=True, slots=True)
class Named:
    """A credential whose token is the principal's name."""

    name: str

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken(self.name, int(time.time()) + 3600)


def tried(granted: access.Access) -> tuple[Enforcing, dict[Case, str]]:
    transport = Enforcing(granted)

    def connect(principal: str) -> roles.Session:
        who = Named(principal)
        return roles.Session(Arm(who, "s", "g", transport), who)

    return transport, dict(roles.tried(CASES, connect, transport.data_status))


TRIED = [case for case in CASES if not case.is_storage]


def test_every_call_of_the_role_test_has_its_answer_where_the_grants_are_enforced() -> None:
    transport, found = tried(access.read())

    assert set(found) == set(TRIED)
    assert {case: wrong for case, wrong in found.items() if wrong} == {}
    assert transport.refused == sum(not case.allowed for case in TRIED)


def test_the_role_test_fails_where_one_grant_is_missing_or_too_much() -> None:
    granted = access.read()
    without = tuple(each for each in granted.grants if each.principal != "events-app")
    owner = access.Role("owner", ("*",), (), ("*",), ())
    more = access.Access(
        {**granted.roles, "owner": owner}, (*granted.grants, access.Grant("model-developer", "workspace", "owner"))
    )

    missing = {case for case, wrong in tried(access.Access(granted.roles, without))[1].items() if wrong}
    too_much = {case for case, wrong in tried(more)[1].items() if wrong}

    assert missing == {case for case in TRIED if case.principal == "events-app" and case.allowed}
    assert {(case.principal, case.scope) for case in too_much} == {("model-developer", "workspace")}


def test_the_role_test_finds_the_resources_of_a_group() -> None:
    group = "/subscriptions/s/resourceGroups/g"
    resources = [{"type": "microsoft.containerregistry/registries", "name": "tidegatehealthyx", "id": f"{group}/r/h"}]
    imported = next(each for each in CASES if each.path == "/importImage")

    assert roles.url(imported, group, resources) == f"{ARM}{group}/r/h/importImage?api-version=2025-11-01"
    assert roles.url(imported, group, []) is None
