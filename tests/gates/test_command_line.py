"""`python -m tidegate.gates` tells people and programs what a file means or what is wrong with it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.gates.refused import in_a_gate
from tidegate.gates.__main__ import main

TWO_GATES = """
version: 1
images:
  - {name: training, match: {repository: "training/**", tag: v*}, test: {command: [python3, check.py, "a b"]}}
  - {name: base, match: {repository: base/*}, test: {skip: tested elsewhere}, promote: {tags: movable}}
"""


@pytest.fixture(autouse=True)
def _beside_two_gates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gates.yaml").write_text(TWO_GATES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def test_a_good_file_is_listed_in_its_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    first, training, base = capsys.readouterr().out.splitlines()
    assert first == "gates.yaml: 2 image gates"
    assert re.fullmatch(
        r"  training/\*\* : v\* -> training [0-9a-f]{12}: "
        r"test python3 check\.py 'a b', then \{repository\} \(immutable\)",
        training,
    )
    assert re.fullmatch(
        r"  base/\* : \* -> base [0-9a-f]{12}: no test \(tested elsewhere\), then \{repository\} \(movable\)", base
    )


def test_a_bad_file_gives_its_problems_and_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(in_a_gate("test: {cpu: 99, tmp: x}"), encoding="utf-8")
    assert main([str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.removeprefix(str(path)) for line in lines] == [
        ":4:17: images[0].test.cpu: '99' is not a number from 0.1 to 32",
        ":4:26: images[0].test.tmp: 'x' is not a size; write a number and Ki, Mi or Gi, for example 512Mi",
    ]


def test_problems_in_json_have_their_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(in_a_gate("test: {cpu: 99}"), encoding="utf-8")
    assert main([str(path), "--json"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["line"], problem["column"], problem["field"]) == (4, 17, "images[0].test.cpu")


def test_json_shows_every_gate_with_its_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"]) == 0
    training, base = json.loads(capsys.readouterr().out)["images"]
    assert training["match"] == {"repository": ["training/**"], "tag": ["v*"]}
    assert training["gate"]["test"]["attempts"] == 3
    assert base["gate"]["test"]["skip"] == "tested elsewhere"


def test_match_shows_the_gate_an_image_meets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--match", "training/litter:v12"]) == 0
    assert capsys.readouterr().out.startswith("training/litter:v12 meets gate training ")


def test_match_in_json_is_the_gate_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--match", "training/litter:v12", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gate"]["name"] == "training"


@pytest.mark.parametrize(
    ("arguments", "output"),
    [([], "training/litter:latest meets no gate; it would be ignored\n"), (["--json"], '{\n  "gate": null\n}\n')],
)
def test_an_image_without_a_gate_is_status_1(
    arguments: list[str], output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--match", "training/litter:latest", *arguments]) == 1
    assert capsys.readouterr().out == output


MODELS = """
models:
  - name: digits
    match: {model: digits*, tags: {task: classification}}
    serve: {image: "scoring/digits:v1"}
    stages:
      - {name: dev, workspace: a1, endpoint: digits-dev, target: local, instance: {cpu: 1, memory: 1Gi}}
      - {name: pro, workspace: b1, approval: {}, release: {github: {project: o/r, pipeline: deliver.yml}}}
"""


@pytest.fixture
def _with_a_model_gate(tmp_path: Path) -> None:
    (tmp_path / "gates.yaml").write_text(TWO_GATES + MODELS, encoding="utf-8")


@pytest.mark.usefixtures("_with_a_model_gate")
def test_gates_of_models_are_listed_with_their_stages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    heading, digits = capsys.readouterr().out.splitlines()[-2:]
    assert heading == "gates.yaml: 1 model gate"
    stages = r"dev \(digits-dev\), then pro \(github o/r, approved\)"
    assert re.fullmatch(rf"  digits\*, task=classification -> digits [0-9a-f]{{12}}: {stages}", digits)


@pytest.mark.usefixtures("_with_a_model_gate")
@pytest.mark.parametrize(
    ("arguments", "status", "output"),
    [
        (["--model", "digits-x", "--tag", "task=classification", "--tag", "a=b"], 0, "digits-x meets gate digits "),
        (["--model", "digits-x"], 1, "digits-x meets no gate; it would be ignored\n"),
        (["--model", "letters", "--tag", "task=classification"], 1, "letters meets no gate; it would be ignored\n"),
    ],
)
def test_a_model_is_shown_the_gate_it_meets(
    arguments: list[str], status: int, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == status
    assert capsys.readouterr().out.startswith(output)


@pytest.mark.usefixtures("_with_a_model_gate")
def test_json_shows_gates_of_models_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"]) == 0
    (digits,) = json.loads(capsys.readouterr().out)["models"]
    assert digits["match"] == {"model": ["digits*"], "tags": {"task": "classification"}}
    assert [stage["name"] for stage in digits["gate"]["stages"]] == ["dev", "pro"]


@pytest.mark.parametrize(
    "arguments",
    [["--model", "a/b"], ["--model", "a", "--tag", "x"], ["--match", "a:b", "--model", "c"], ["--tag", "a=b"]],
)
def test_a_wrong_question_about_a_model_is_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "arguments", [["--match", "training/litter"], ["--match", "A:v1"], ["--frobnicate"], ["a", "b"]]
)
def test_a_wrong_command_line_is_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
