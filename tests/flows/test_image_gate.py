"""What an image must be before anything of it runs: each requirement met and unmet, alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.flows.samples import FACTS, GATE
from tidegate.flows.images.image_gate import IMAGE_INDEXES, ImageFacts, is_root, matches_any, unmet

IMAGE = FACTS.images[0]


def facts(**fields: Any) -> ImageFacts:
    return dataclasses.replace(FACTS, **fields)


def of_image(**fields: Any) -> ImageFacts:
    return facts(images=(dataclasses.replace(IMAGE, **fields),))


def both(one: dict[str, Any], other: dict[str, Any]) -> ImageFacts:
    """An index of two images."""
    images = (dataclasses.replace(IMAGE, **one), dataclasses.replace(IMAGE, platform="linux/arm64", **other))
    return facts(kind="index", media_type=IMAGE_INDEXES[0], images=images, manifests=3)


MET: dict[str, tuple[dict[str, Any], ImageFacts]] = {
    "nothing is required": ({}, FACTS),
    "a user of its own": ({"non_root": True}, of_image(user="1000")),
    "a user by name": ({"non_root": True}, of_image(user="app:app")),
    "a label of the right kind": ({"labels": (("team", "ml-*"),)}, of_image(labels=(("team", "ml-vision"),))),
    "a label of any value": ({"labels": (("team", "*"),)}, of_image(labels=(("team", ""),))),
    "exactly the size": ({"max_size": 10}, of_image(size=10)),
    "any size": ({"max_size": 0}, of_image(size=10**12)),
    "exactly the manifests": ({"max_manifests": 3}, both({}, {})),
    "an allowed platform": ({"platforms": ("linux/arm64", "linux/amd64")}, FACTS),
    "an index of which all is right": ({"non_root": True, "platforms": ("linux/amd64", "linux/arm64")}, both({}, {})),
}

UNMET: dict[str, tuple[dict[str, Any], ImageFacts, tuple[str, ...]]] = {
    "root by default": ({"non_root": True}, of_image(user=""), ("linux/amd64: runs as root",)),
    "root by name": ({"non_root": True}, of_image(user="root:app"), ("runs as root",)),
    "root by number": ({"non_root": True}, of_image(user="0:0"), ("runs as root",)),
    "a label missing": ({"labels": (("team", "*"),)}, FACTS, ("label team is missing",)),
    "a label of another kind": (
        {"labels": (("team", "ml-*"),)},
        of_image(labels=(("team", "web"),)),
        ("label team is 'web', not like 'ml-*'",),
    ),
    "a label in other casing": (
        {"labels": (("team", "ml"),)},
        of_image(labels=(("team", "ML"),)),
        ("label team is 'ML'",),
    ),
    "a byte too large": ({"max_size": 10}, of_image(size=11), ("11 bytes of layers, more than 10",)),
    "too large together": ({"max_size": 19}, both({"size": 10}, {"size": 10}), ("20 bytes of layers",)),
    "a manifest too many": ({"max_manifests": 2}, both({}, {}), ("3 manifests, more than 2",)),
    "another platform": ({"platforms": ("linux/arm64",)}, FACTS, ("platform linux/amd64 is not allowed",)),
    "another media type": (
        {"media_types": IMAGE_INDEXES},
        FACTS,
        ("media type application/vnd.oci.image.manifest.v1+json is not allowed",),
    ),
    "a layer elsewhere": ({}, facts(foreign_layers=True), ("a layer is kept outside the registry",)),
    "no runnable image": ({}, facts(images=()), ("no runnable image",)),
    "one image of an index": (
        {"non_root": True},
        both({"user": "1000"}, {"user": "root"}),
        ("linux/arm64: runs as root",),
    ),
    "several at once, all said": (
        {"non_root": True, "max_size": 5, "labels": (("team", "*"),)},
        of_image(user="0"),
        ("10 bytes of layers", "runs as root", "label team is missing"),
    ),
}


@pytest.mark.parametrize(("require", "facts"), MET.values(), ids=MET.keys())
def test_an_image_that_meets_what_is_required_has_no_problem(require: dict[str, Any], facts: ImageFacts) -> None:
    assert unmet(dataclasses.replace(GATE.require, **require), facts) == ()


@pytest.mark.parametrize(("require", "facts", "said"), UNMET.values(), ids=UNMET.keys())
def test_every_requirement_that_is_not_met_is_said(
    require: dict[str, Any], facts: ImageFacts, said: tuple[str, ...]
) -> None:
    problems = unmet(dataclasses.replace(GATE.require, **require), facts)
    assert len(problems) == len(said)
    for problem, words in zip(problems, said, strict=True):
        assert words in problem


@pytest.mark.parametrize("user", ["", "0", "00", "root", ":1000", "0:1000", "root:app"])
def test_root_is_known_by_name_number_and_absence(user: str) -> None:
    assert is_root(user)


@pytest.mark.parametrize("user", ["1000", "1000:0", "app", "Root", "rooty", "0x0"])
def test_everybody_else_is_not_root(user: str) -> None:
    assert not is_root(user)


def test_globs_over_types_mind_their_case() -> None:
    assert matches_any("application/sig", ("text/*", "application/*"))
    assert not matches_any("application/sig", ("Application/*",))
    assert not matches_any("application/sig", ())


def test_the_repository_of_the_destination_may_hold_the_sources() -> None:
    rules = dataclasses.replace(GATE.promote, repository="prod/{repository}/x")
    assert rules.target("training/litter") == "prod/training/litter/x"
    assert GATE.promote.target("a/b") == "a/b"
