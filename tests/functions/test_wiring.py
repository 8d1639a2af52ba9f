"""Names, bindings and settings that live in different files agree with each other."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.app_settings import app_settings
from tidegate.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]

_INDEX = """
import json, function_app
for function in function_app.app.get_functions():
    bindings = json.loads(function.get_function_json())["bindings"]
    print(json.dumps({"name": function.get_function_name(), "bindings": bindings}))
"""


@pytest.fixture(scope="module")
def functions() -> dict[str, list[dict[str, Any]]]:
    """Name -> bindings, as the host would index them; in a process of its own, as the library keeps global state."""
    command = [sys.executable, "-W", "error::ImportWarning", "-c", _INDEX]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {each["name"]: each["bindings"] for each in map(json.loads, done.stdout.splitlines())}


def _triggers(functions: dict[str, list[dict[str, Any]]], kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: binding
        for name, bindings in functions.items()
        for binding in bindings
        if str(binding["type"]).casefold() == kind.casefold()
    }


def _subscriptions() -> list[dict[str, Any]]:
    subscriptions: list[dict[str, Any]] = json.loads((ROOT / "infra/data/events.json").read_text())["subscriptions"]
    return subscriptions


def test_every_event_function_has_a_subscription_and_every_subscription_a_function(
    functions: dict[str, list[dict[str, Any]]],
) -> None:
    assert {each["function"] for each in _subscriptions()} == set(_triggers(functions, "eventGridTrigger"))


def test_a_poisoned_message_has_somewhere_to_go(functions: dict[str, list[dict[str, Any]]]) -> None:
    queues = {binding["queueName"] for binding in _triggers(functions, "queueTrigger").values()}
    assert {f"{queue}-poison" for queue in queues if not queue.endswith("-poison")} <= queues


def test_every_route_is_described_and_every_description_is_a_route(
    functions: dict[str, list[dict[str, Any]]],
) -> None:
    described = json.loads((ROOT / "functions/openapi.json").read_text())
    paths = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    routes = {
        (str(getattr(method, "value", method)).upper(), f"/api/{binding['route']}")
        for binding in _triggers(functions, "httpTrigger").values()
        for method in binding["methods"]
    }
    assert routes == paths


def test_no_route_counts_on_a_key_of_the_host(functions: dict[str, list[dict[str, Any]]]) -> None:
    """Who asks is verified by the app; tests/e2e/test_people.py asks every route as a stranger."""
    levels = [each["authLevel"] for each in _triggers(functions, "httpTrigger").values()]
    assert {str(getattr(level, "value", level)).upper() for level in levels} == {"ANONYMOUS"}


def test_the_sample_settings_name_exactly_the_required_settings() -> None:
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    required = {
        f"{PREFIX}{field.name.upper()}"
        for field in dataclasses.fields(Settings)
        if field.default is dataclasses.MISSING
    }
    assert {name for name in sample if name.startswith(PREFIX)} == required


def test_the_local_app_settings_are_fields_of_the_settings() -> None:
    known = {f"{PREFIX}{field.name.upper()}" for field in dataclasses.fields(Settings)}
    assert {name for name in app_settings("connection") if name.startswith(PREFIX)} <= known


def test_the_dead_letter_container_of_events_is_the_one_that_is_listed() -> None:
    container = json.loads((ROOT / "infra/data/events.json").read_text())["deadLetterContainer"]
    default = next(field.default for field in dataclasses.fields(Settings) if field.name == "dead_letter_container")
    assert container == default


def test_the_tag_is_looked_at_again_only_when_no_invocation_can_be_alive() -> None:
    from tidegate.flows.images.tag_ownership import VERIFY_AFTER

    hours, minutes, seconds = map(int, json.loads((ROOT / "host.json").read_text())["functionTimeout"].split(":"))
    assert hours * 3600 + minutes * 60 + seconds < VERIFY_AFTER


def test_indexing_the_app_imports_no_sdk_but_azure_functions() -> None:
    code = "import sys, function_app; print([m for m in sys.modules if m.startswith(('azure.', 'requests', 'yaml'))])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = set(re.findall(r"'(azure\.[a-z]+|requests|yaml)", done.stdout))
    assert imported == {"azure.functions"}
