"""docs/reference/gates.md is true: its examples load, its tables have every key and its transcripts are what is printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tidegate.gates import alert_loading, load, loading, model_loading, stage_loading
from tidegate.gates.__main__ import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "gates.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
TRANSCRIPTS = re.findall(r"^\$ python -m tidegate\.gates (.*)\n(.*)\n", PAGE, re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_good_file(example: str, tmp_path: Path) -> None:
    path = tmp_path / "gates.yaml"
    path.write_text(example, encoding="utf-8")
    assert len(load(path).images) == 1


def documented_keys(heading: str) -> tuple[str, ...]:
    """The first column of the last table under a heading, or before the next one."""
    section = re.split(r"^#+ ", PAGE.split(f"{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return tuple(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE))


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("### A gate", loading.GATE_KEYS),
        ("### match", loading.MATCH_KEYS),
        ("### test", loading.TEST_KEYS),
        ("### require", loading.REQUIRE_KEYS),
        ("### promote", (*loading.PROMOTE_KEYS, *loading.REFERRERS_KEYS)),
        ("### models", model_loading.MODEL_KEYS),
        ("#### match of a model", model_loading.MODEL_MATCH_KEYS),
        ("#### require of a model", (*model_loading.MODEL_REQUIRE_KEYS, *model_loading.METRIC_KEYS)),
        ("#### serve", model_loading.SERVE_KEYS),
        ("#### stages", stage_loading.STAGE_KEYS),
        ("#### instance", stage_loading.INSTANCE_KEYS),
        ("#### fit", stage_loading.FIT_KEYS),
        ("#### analysis", stage_loading.ANALYSIS_KEYS),
        ("#### approval", stage_loading.APPROVAL_KEYS),
        ("#### release", stage_loading.PIPELINE_KEYS),
        ("### alerts", alert_loading.ALERT_KEYS),
        ("#### rate", alert_loading.RATE_KEYS),
        ("#### resubmit", alert_loading.RESUBMIT_KEYS),
        ("#### causes", alert_loading.CAUSE_KEYS),
        ("#### routes", (*alert_loading.ROUTE_KEYS, *alert_loading.ROUTE_MATCH_KEYS)),
    ],
)
def test_every_key_has_its_line(heading: str, keys: tuple[str, ...]) -> None:
    assert documented_keys(heading) == keys


@pytest.mark.parametrize(("arguments", "output"), TRANSCRIPTS)
def test_every_transcript_is_what_the_command_prints(
    arguments: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the first file of the page."""
    (tmp_path / "gates.yaml").write_text(EXAMPLES[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    main(shlex.split(arguments))
    assert capsys.readouterr().out == f"{output}\n"


def test_the_page_has_examples_and_transcripts() -> None:
    assert (len(EXAMPLES), len(TRANSCRIPTS)) == (3, 2)
