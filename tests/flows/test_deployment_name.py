"""Names of deployments: what the service takes, the same every time, and never one for two versions."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.flows.models.deployment_name import LONGEST, deployment_name

_ALLOWED = re.compile(r"[a-z][a-z0-9-]{1,30}[a-z0-9]\Z")

MODELS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", fullmatch=True)
VERSIONS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,29}", fullmatch=True)
"""As `references` lets them in."""


@given(MODELS, VERSIONS)
@settings(max_examples=200, deadline=None)
def test_every_model_and_version_has_a_name_that_the_service_takes(model: str, version: str) -> None:
    name = deployment_name(model, version)
    assert _ALLOWED.match(name), name
    assert len(name) <= LONGEST


@pytest.mark.parametrize(
    ("model", "version", "begins"),
    [
        ("digits", "7", "digits-7-"),
        ("Fraud_Scores", "1.10", "fraud-scores-1-10-"),
        ("2nd-model", "3", "m-2nd-model-3-"),
        ("a-very-long-name-of-a-model-that-goes-on", "12", "a-very-long-name-12-"),
        ("m" * 255, "v" * 30, "mmmmmmmmmm-vvvvvvvv-"),
        ("x", "1", "x-1-"),
    ],
)
def test_people_recognise_model_and_version(model: str, version: str, begins: str) -> None:
    name = deployment_name(model, version)
    assert name.startswith(begins)
    assert re.fullmatch(r"[0-9a-f]{12}", name.removeprefix(begins)), name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("digits", "1"), ("digits", "2")),
        (("digits", "1.0"), ("digits", "1-0")),
        (("digits", "1"), ("Digits", "1")),
        (("digits-1", "2"), ("digits", "1-2")),
        (("digits_a", "1"), ("digits.a", "1")),
        (("a-very-long-name-of-a-model-x", "1"), ("a-very-long-name-of-a-model-y", "1")),
        (("digits", "2026-11-25T10"), ("digits", "2026-11-25T11")),
    ],
)
def test_two_versions_never_share_a_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert deployment_name(*one) != deployment_name(*other)


def test_a_version_has_one_name_for_ever() -> None:
    assert deployment_name("digits", "7") == "digits-7-df718d7938c2"
