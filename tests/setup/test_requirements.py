"""The locked requirements: current, complete, hashed, and only what each place needs. Read as text, nothing is resolved."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]


def asked(group: str) -> list[str]:
    """The requirements of a group, those of the groups that it includes too."""
    return [
        text for each in GROUPS[group] for text in ([each] if isinstance(each, str) else asked(each["include-group"]))
    ]


APP = "requirements.txt"
DEV = "requirements/dev.txt"
LOCKS = {
    APP: PROJECT["project"]["dependencies"],
    DEV: [*PROJECT["project"]["dependencies"], *asked("local"), *asked("test")],
    "requirements/azure-cli.txt": asked("azure-cli"),
    "requirements/serving.txt": asked("serving"),
    "requirements/uv.txt": asked("uv"),
    "requirements/node.txt": asked("node"),
}
PIN = re.compile(r"([\w.-]+)==(\S+)( ; .+)?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def entries(lock: str) -> list[str]:
    """One line a package, its hashes joined to it."""
    return (ROOT / lock).read_text().replace("\\\n", " ").splitlines()


def pins(lock: str) -> dict[str, Version]:
    found: dict[str, Version] = {}
    for entry in entries(lock):
        pin = PIN.fullmatch(entry.partition("--hash")[0].strip())
        assert pin, f"{lock}: {entry[:60]} is no pin"
        found[canonicalize_name(pin[1])] = Version(pin[2])
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_dependency_is_pinned_to_a_version_it_allows(lock: str) -> None:
    pinned = pins(lock)
    stale = [
        text
        for text in LOCKS[lock]
        if not (requirement := Requirement(text)).specifier.contains(
            pinned.get(canonicalize_name(requirement.name), Version("0")), prereleases=True
        )
    ]
    assert stale == [], f"{lock} is not what pyproject.toml asks for; run: make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock: str) -> None:
    assert [entry for entry in entries(lock) if not HASH.search(entry)] == []


@pytest.mark.parametrize("lock", [*LOCKS, "tools/azurite/package-lock.json"])
def test_no_lock_names_where_packages_come_from(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"--(extra-)?index-url|--find-links|\"resolved\"|://[^/\"]*(pypi|pythonhosted|npmjs)", text)


@pytest.mark.parametrize("group", ["local", "test"])
def test_the_function_app_carries_nothing_that_only_the_groups_ask_for(group: str) -> None:
    own = {canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["dependencies"]}
    brought = {"jsonschema"}  # azure-ai-ml validates with it
    others = {canonicalize_name(Requirement(text).name) for text in asked(group)} - own
    assert others & pins(APP).keys() == brought & others


def test_the_tests_run_with_the_versions_that_azure_gets() -> None:
    development = pins(DEV)
    assert {name: development.get(name) for name in pins(APP)} == pins(APP)
