"""The local Azure enforces infra/data/roles.json: the role test against it, and what image promotion really takes."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
import uuid
from typing import Any

from infra.tests import roles
from local import job_site, world
from local.parts import ROOT
from tests.e2e.conftest import Scene

DECLARED = json.loads((ROOT / "tests" / "infra" / "adapter_actions.json").read_text())["adapters"]
PRINCIPALS = sorted({case.principal for case in roles.read()})
STORAGE = "Microsoft.Storage/"
"""Azurite has no roles: what is needed of storage cannot be seen here."""


def asked(scene: Scene) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = scene.site.cloud("GET", "/admin/permissions").json()["permissions"]
    return found


def role_test(scene: Scene, principals: list[str]) -> subprocess.CompletedProcess[str]:
    """The program, signed in as each principal by a client secret, as a pipeline runs it against Azure."""
    signed = {
        f"TIDEGATE_ROLE_{each.upper().replace('-', '_')}_{name}": value
        for each in {*principals, "operator"}
        for name, value in (("CLIENT_ID", world.client_id(each)), ("CLIENT_SECRET", "any"))
    }
    where = {"AZURE_TENANT_ID": world.TENANT, "AZURE_SUBSCRIPTION_ID": world.SUBSCRIPTION}
    environment = {**os.environ, **scene.site.stack.client_environment(), **where, **signed}
    command = [sys.executable, "-m", "infra.tests.roles", world.RESOURCE_GROUP, *principals]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_every_forbidden_call_is_refused_and_every_needed_one_allowed(scene: Scene) -> None:
    done = role_test(scene, PRINCIPALS)
    cases = collections.Counter(case.is_storage for case in roles.read())

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{cases[False]} passed, 0 failed, {cases[True]} of storage not tried" in done.stdout


def test_the_refusals_come_from_the_file(scene: Scene) -> None:
    """Each call that the role test made is on record, with the answer that infra/data/roles.json gives to it."""
    role_test(scene, ["model-developer"])
    refused = {
        each["action"] for each in asked(scene) if not each["allowed"] and each["principal"] == "model-developer"
    }
    wanted = {
        case.action
        for case in roles.read()
        if case.principal == "model-developer" and not case.allowed and not case.is_storage
    }

    assert wanted <= refused
    assert all("/write" in each or "/delete" in each or "/action" in each for each in refused)


def test_promotion_takes_exactly_the_permissions_that_are_declared(scene: Scene) -> None:
    """One image that passes, with a record and locks, and one that another takes the tag from, whose test is stopped."""
    scene.site.cloud("DELETE", "/admin/permissions")
    repository, moving = scene.repository("fixed"), scene.repository("moving")
    image = scene.push(repository, "v1")
    old = scene.push(moving, "latest", SECONDS_LONG=20)
    scene.wait(repository, image.digest, "Promoted")
    scene.wait(moving, old.digest, "Testing")
    new = scene.push(moving, "latest")
    scene.wait(moving, new.digest, "Promoted")
    scene.wait(moving, old.digest, "Superseded")

    taken = taken_by_the_app(scene)
    declared = {(each["scope"], each["action"]) for each in DECLARED if not each["action"].startswith(STORAGE)}
    unseen = {(each["scope"], each["action"]) for each in DECLARED if "unseen" in each}

    assert taken - declared == set()
    assert {each for each in declared - taken if each[0] != "workspace"} <= unseen


def test_watching_runs_takes_no_permission_that_is_not_declared(scene: Scene) -> None:
    """A run that fails becomes a mail: the workspace is asked about it, and the vault about where mails go."""
    scene.site.cloud("DELETE", "/admin/permissions")
    name = f"roles-{uuid.uuid4().hex[:8]}"
    job_site.submit(scene.site, "vision", name, "exit 3", experimentName=name)
    assert job_site.until(lambda: job_site.mails(scene.site, name), 30)

    taken = taken_by_the_app(scene)
    assert ("workspace", "Microsoft.MachineLearningServices/workspaces/jobs/read") in taken
    assert taken <= {(each["scope"], each["action"]) for each in DECLARED}


def taken_by_the_app(scene: Scene) -> set[tuple[str, str]]:
    """(scope, action) of all that the function app asked for; none of it was refused."""
    mine = [each for each in asked(scene) if each["principal"] == world.FUNCTION_IDENTITY]
    assert [each for each in mine if not each["allowed"]] == []
    return {(each["scope"], each["action"]) for each in mine}
