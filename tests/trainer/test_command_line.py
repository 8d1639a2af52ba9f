"""`python -m trainer` as its starter sees it: a status that says what to do, and a last line that says why."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.children import command_line
from tests.trainer.runs import SHORT, Undisturbed
from trainer.drill import CONTEXT
from trainer.refusal import RefusedError
from trainer.workdir import opened

_TRAINER = [sys.executable, "-m", "trainer"]
_ALONE = os.environ | {"TRAINER_METADATA_URL": "off"}


def ended(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int | None, dict[str, Any]]:
    """Status and last line, in a process forked from one that imported TensorFlow."""
    ours, theirs = CONTEXT.Pipe(duplex=False)
    told = {"TRAINER_METADATA_URL": "off"} | (environment or {})
    process = CONTEXT.Process(target=command_line, args=(arguments, told, theirs))
    process.start()
    theirs.close()
    last = "{}"
    with contextlib.suppress(EOFError):
        while ours.poll(60):
            last = ours.recv()
    process.join(60)
    return process.exitcode, json.loads(last)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--config", "no such"], "neither a file nor one of QUICKTEST"),
        (["--config", "QUICKTEST", "--set", "epoch=1"], "unknown field 'epoch'"),
        (["--config", "QUICKTEST", "--set", "batch=5000"], "a batch of 5000 needs at least as many samples"),
        (["--config", "QUICKTEST", "--set", "data=/no/such/folder"], "there is no folder 'train'"),
        (["--config", "QUICKTEST", "--workdir", "abfss://runs@account.dfs.core.windows.net/1"], "a work directory is"),
        (["--config", "QUICKTEST", "--workdir", "azureml://datastores/runs/paths/1"], "a work directory is"),
        (["--config", "QUICKTEST", "--workdir", "/dev/null"], "/dev/null cannot be the work directory"),
    ],
)
def test_what_starting_again_would_not_mend_is_refused_with_its_reason(
    arguments: Sequence[str], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, last = ended("--workdir", str(tmp_path / "run"), *arguments)
    assert (status, last["event"]) == (2, "refused"), last
    assert word in last["message"]
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert [each.name for each in tmp_path.iterdir() if each.name != "run"] == [], "a folder of that name, in its place"


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ("{", "TF_CONFIG is no JSON"),
        ("[]", "TF_CONFIG must be an object"),
        (
            '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps", "index": 0}}',
            "'ps' has nothing to do",
        ),
    ],
)
def test_a_cluster_that_makes_no_sense_is_refused(config: str, word: str, tmp_path: Path) -> None:
    status, last = ended("--config", "QUICKTEST", "--workdir", str(tmp_path), environment={"TF_CONFIG": config})
    assert (status, last["event"]) == (2, "refused"), last
    assert word in last["message"]


def test_a_folder_that_cannot_be_written_is_refused_before_anything_else() -> None:
    with pytest.raises(RefusedError, match="cannot be written here"), opened("/proc/sys"):
        pass


def test_a_signal_that_comes_while_tensorflow_is_imported_is_a_notice_too(tmp_path: Path) -> None:
    """That takes seconds, and a machine may be taken back in them."""
    command = [*_TRAINER, "--config", "QUICKTEST", "--workdir", str(tmp_path)]
    with subprocess.Popen(command, env=_ALONE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        end = time.monotonic() + 60
        while "tensorflow" not in Path(f"/proc/{process.pid}/maps").read_text() and time.monotonic() < end:
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        lines, _ = process.communicate(timeout=120)
    assert process.returncode == 75
    last = json.loads(lines.splitlines()[-1])
    assert (last["event"], last["step"], last["reason"]) == ("evicted", 0, "SIGTERM")


def test_a_disk_that_is_full_ends_the_run_and_costs_no_checkpoint(undisturbed: Undisturbed, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(SHORT.as_json() | {"save_every_steps": 5}))
    command = [*_TRAINER, "--config", str(config), "--workdir", str(tmp_path / "run")]

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    full = subprocess.run(command, env=_ALONE, capture_output=True, text=True, check=False, preexec_fn=small_files)
    assert full.returncode == 1, full.stdout
    assert json.loads(full.stdout.splitlines()[-1])["event"] == "failed"
    assert "File too large" in full.stdout.splitlines()[-1]
    assert [each.name for each in (tmp_path / "run" / "checkpoints").iterdir()] == []
    assert not (tmp_path / "run" / "lock.json").exists()
    status, last = ended("--config", str(config), "--workdir", str(tmp_path / "run"))
    assert (status, last["digest"]) == (0, undisturbed.digest)


def test_what_fails_says_so_in_its_last_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import trainer.__main__ as command

    broken = tmp_path / "run"
    (broken / "lock.json").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        command.main(["--config", "QUICKTEST", "--workdir", str(broken)])
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["event"] == "failed"
