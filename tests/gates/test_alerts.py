"""The `alerts` of a gates file: what it means, and what is refused where."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.gates.test_schema import SCHEMA
from tidegate.flows.alerts.alert_policy import AlertPolicy
from tidegate.flows.jobs.cause_rules import SHIPPED
from tidegate.gates import DEFAULT_ALERTS, GatesError, load

HEAD = "version: 1\nimages: [{name: a, match: {repository: a}}]\nalerts:\n"
GOOD = """\
  canceled: alert
  window: 2d
  wait: 10s
  repeat: 1h
  rate: {mails: 4, within: 30m}
  links: [ml.azure.com, wiki.team.example]
  ignore: ["known noise of *nightly"]
  resubmit: {attempts: 2, backoff: 90s, dedicated: {gpu-spot: gpu}}
  causes:
    - name: licence
      cause: quota
      lines: ["licence server * busy"]
      examples: ["E: licence server lic-3 is busy"]
  routes:
    - {name: platform, match: {cause: [quota, image-rejected]}, to: platform@team.example}
    - {name: litter, match: {workspace: vision, experiment: litter-*, tags: {team: "vision-*"}}, to: [a@team.example]}
"""


def policy(text: str, folder: Path) -> AlertPolicy:
    path = folder / "gates.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    return load(path).alerts


def editors_accept(text: str) -> bool:
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(yaml.safe_load(HEAD + text))


def test_a_file_without_alerts_has_the_shipped_policy(tmp_path: Path) -> None:
    (tmp_path / "gates.yaml").write_text(HEAD.removesuffix("alerts:\n"), encoding="utf-8")
    assert load(tmp_path / "gates.yaml").alerts == DEFAULT_ALERTS


def test_every_key_means_what_it_says(tmp_path: Path) -> None:
    read = policy(GOOD, tmp_path)
    assert (read.canceled, read.window, read.wait, read.repeat) == (True, 172800, 10, 3600)
    assert (read.mails, read.within, read.hosts) == (4, 1800, ("ml.azure.com", "wiki.team.example"))
    assert (read.resubmit.attempts, read.resubmit.backoff) == (2, 90)
    assert read.resubmit.dedicated == (("gpu-spot", "gpu"),)
    assert [rule.name for rule in read.causes] == ["licence", *(rule.name for rule in SHIPPED)]
    assert [route.name for route in read.routes] == ["platform", "litter", "default"]
    assert editors_accept(GOOD)


@pytest.mark.parametrize(
    ("workspace", "experiment", "tags", "cause", "route"),
    [
        ("vision", "litter-9", (("team", "vision-a"),), "quota", "platform"),
        ("vision", "litter-9", (("team", "vision-a"),), "code", "litter"),
        ("vision", "litter-9", (), "code", "default"),
        ("vision", "other", (("team", "vision-a"),), "code", "default"),
        ("forecasting", "litter-9", (("team", "vision-a"),), "code", "default"),
        ("", "", (), "image-rejected", "platform"),
    ],
)
def test_the_first_route_that_matches_wins(
    workspace: str, experiment: str, tags: tuple[tuple[str, str], ...], cause: str, route: str, tmp_path: Path
) -> None:
    assert policy(GOOD, tmp_path).route(workspace, experiment, tags, cause).name == route


@pytest.mark.parametrize(
    ("text", "fault", "seen_by_editors"),
    [
        ("  cancelled: alert", "alerts.cancelled: unknown key (did you mean 'canceled'?)", True),
        ("  canceled: yes", "alerts.canceled: ", True),
        ("  window: 24", "alerts.window: '24' is not a duration", True),
        ("  window: 15d", "alerts.window: '15d' is too long", False),
        ("  rate: {mails: 0}", "alerts.rate.mails: '0' is not a whole number from 1 to 100", True),
        ("  links: [https://x.example]", "is not the name of a host", True),
        ("  ignore: ['* a *']", "says too little", True),
        ("  ignore: ['same line', 'same line']", "is in the list twice", True),
        ("  resubmit: {dedicated: {a: b, b: c}}", "it cannot be handed on itself", False),
        ("  causes: [{name: x, cause: gremlins, lines: abcd}]", "'gremlins' is not allowed", True),
        ("  causes: [{name: memory, cause: memory, lines: abcd}]", "is taken by what is shipped", False),
        ("  causes: [{name: x, cause: memory, lines: abcd, examples: [efgh]}]", "matches the example", False),
        ("  causes: [{name: x, cause: memory}]", "the key 'lines' is missing", True),
        ("  routes: [{name: x, to: nobody}]", "'nobody' is not an e-mail address", True),
        ("  routes: [{name: x, to: []}]", "the list is empty", True),
        ("  routes: [{name: default, to: a@b.example}]", "is taken by what is shipped", False),
        ("  routes: [{name: x, to: a@b.example}, {name: y, to: a@b.example}]", "'y' is never reached", False),
        ("  routes: [{name: x, match: {cause: gremlins}, to: a@b.example}]", "'gremlins' is not allowed", True),
    ],
)
def test_a_fault_is_refused_at_its_line(text: str, fault: str, seen_by_editors: bool, tmp_path: Path) -> None:
    with pytest.raises(GatesError) as caught:
        policy(text, tmp_path)
    assert fault in str(caught.value)
    assert {problem.line for problem in caught.value.problems} == {4}
    assert editors_accept(text) is not seen_by_editors
