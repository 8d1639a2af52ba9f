"""What is put together has a part for everything that flows ask for and gates may name."""

from __future__ import annotations

import typing
from typing import Any

import pytest

from local.app_settings import app_settings
from tidegate import job_effects, model_effects
from tidegate.composition import Runtime, flows, make
from tidegate.effects import Effects
from tidegate.errors import SettingsError
from tidegate.flows.deliveries import delivery_messages
from tidegate.flows.endpoints import rollout_messages
from tidegate.flows.models.model_gate import TargetKind
from tidegate.flows.reminders import Remind


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    """As on one machine; nothing is contacted until it is asked for something."""
    return make(app_settings("UseDevelopmentStorage=true"), "tidegate-work")


def effects_of(runtime: Runtime) -> Effects:
    carry_out = runtime.intake.runner.carry_out
    assert isinstance(carry_out, Effects)
    return carry_out


def test_every_target_that_a_gate_may_name_is_served(runtime: Runtime) -> None:
    around = effects_of(runtime).around_models
    assert around is not None
    assert set(around.endpoints) == set(typing.get_args(TargetKind.__value__))


def test_what_no_event_told_of_is_looked_for_in_runs_and_models(runtime: Runtime) -> None:
    assert runtime.intake.jobs is not None
    assert runtime.intake.models is not None


@pytest.mark.parametrize("union", [delivery_messages.Effect, rollout_messages.Effect], ids=["deliveries", "endpoints"])
def test_every_command_of_a_flow_is_carried_out(union: Any) -> None:
    wanted = set(typing.get_args(union.__value__)) - {Remind}
    assert wanted <= set(model_effects.COMMANDS)
    assert set(model_effects.READING) <= set(model_effects.COMMANDS)
    assert not set(model_effects.COMMANDS) & set(job_effects.COMMANDS)


def test_a_flow_is_found_by_the_first_word_of_its_records() -> None:
    assert {"model-delivery", "endpoint-rollout"} <= set(flows("tidegatehealthy"))


def test_faults_of_the_gates_are_faults_of_the_settings(tmp_path: Any) -> None:
    path = tmp_path / "gates.yaml"
    path.write_text("version: 1\nimages: [{name: a, match: {repository: a}}]\nmodels: [{}]\n")
    settings = app_settings("UseDevelopmentStorage=true") | {"TIDEGATE_GATES_FILE": str(path)}
    with pytest.raises(SettingsError, match=r"gates\.yaml:3:10: models\[0\]: the key 'name' is missing"):
        make(settings, "tidegate-work")
