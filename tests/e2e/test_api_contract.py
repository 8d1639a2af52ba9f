"""The API keeps the promises of its OpenAPI document, whatever is sent to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance, unsupported_method

from local.site import Site
from tests.e2e.conftest import Scene

DOCUMENT = Path(__file__).parents[2] / "functions/openapi.json"
OPERATIONS = {
    f"{found.ok().method.upper()} {found.ok().path}": found.ok()
    for found in schemathesis.openapi.from_dict(json.loads(DOCUMENT.read_text())).get_all_operations()
    if isinstance(found, Ok)
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_is_a_described_one(site: Site, name: str) -> None:
    base = f"http://127.0.0.1:{site.stack.ports.functions}"
    headers = {"X-Api-Key": site.key}

    # Without shrinking: each example is a request to a real host, and the failing one is printed as a curl command.
    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[name].as_strategy())
    def holds(case: schemathesis.Case[Any]) -> None:
        # A method without a route is 404 in the Functions host: methods are constraints of routes there. And no schema can
        # say which cursors are ours.
        left_out = [unsupported_method, positive_data_acceptance]
        case.call_and_validate(base_url=base, headers=headers, excluded_checks=left_out)

    holds()


def test_the_document_that_is_served_is_the_one_in_the_repository(site: Site) -> None:
    assert site.api("GET", "/openapi.json", key="").json() == json.loads(DOCUMENT.read_text())


def test_a_promotion_and_a_plan_look_as_described(scene: Scene) -> None:
    repository = scene.repository("fixed")
    image = scene.push(repository, "v1", CODE=1)
    promotion = scene.wait(repository, image.digest, "Rejected")
    wish = {"repository": repository, "tag": "v1", "reason": "x", "override": True, "dry_run": True}
    _described("Promotion", promotion)
    _described("Summary", scene.site.promotions(repository)[0])
    _described("Plan", scene.site.api("POST", "/promotions", wish).json())


def _described(schema: str, value: Any) -> None:
    document = json.loads(DOCUMENT.read_text())
    jsonschema.Draft202012Validator({**document, "$ref": f"#/components/schemas/{schema}"}).validate(value)
