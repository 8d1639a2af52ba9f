"""A configuration is read from a name, a file or assignments, and a wrong one says what is wrong."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from trainer.config import QUICKTEST, Config, ConfigError, changed, load_config
from trainer.history import History
from trainer.tracking import report


def test_a_name_is_a_configuration_in_any_case() -> None:
    assert load_config("quicktest") is QUICKTEST


@pytest.mark.parametrize(
    ("name", "text"), [("c.toml", 'base = "QUICKTEST"\nepochs = 7\n'), ("c.json", '{"base": "QUICKTEST", "epochs": 7}')]
)
def test_a_file_changes_a_named_configuration(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert load_config(str(tmp_path / name)) == dataclasses.replace(QUICKTEST, name="c", epochs=7)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("epochs = 0", "epochs must be at least 1"),
        ("epoch = 1", "unknown field 'epoch'"),
        ('epochs = "1"', "epochs must be int"),
        ("xla = 1", "xla must be bool"),
        ('precision = "half"', "precision must be one of"),
        ('model = "big"', "model must be one of"),
        ('base = "X"', "'X' is not one of"),
        ("base = 3", "base 3 is not one of"),
        ("learning_rate = 0", "learning_rate must be a number above 0, not 0"),
        ("learning_rate = nan", "learning_rate must be a number above 0, not nan"),
        ("learning_rate = inf", "learning_rate must be a number above 0"),
        ("save_every_seconds = -1.0", "save_every_seconds must be a number above 0"),
        ("dropout = 1.0", "dropout must be at least 0 and less than 1"),
        ("seed = -1", "seed must be from 0 to 4294967295"),
        ("seed = 4294967296", "seed must be from 0 to 4294967295"),
        ("image_size = 31", "image_size must be at least 32 for mobilenet_v3_small"),
        ("epochs = true", "epochs must be int"),
        ("epochs =", "c.toml"),
    ],
)
def test_a_wrong_file_names_the_field_and_the_fault(text: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ConfigError, match=fault):
        load_config(str(tmp_path / "c.toml"))


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("c.json", b"[1]", "must be an object of fields and values"),
        ("c.json", b"{", "c.json"),
        ("c.toml", b"epochs = 1\n\xff", "c.toml"),
    ],
    ids=["list", "cut-off", "no-text"],
)
def test_a_file_that_cannot_be_read_is_named(name: str, content: bytes, fault: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=fault):
        load_config(str(tmp_path / name))


def test_a_file_may_write_the_name_of_its_base_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('base = "quicktest"')
    assert load_config(str(tmp_path / "c.toml")) == dataclasses.replace(QUICKTEST, name="c")


def test_assignments_change_fields_of_every_type() -> None:
    given = ["learning_rate=0.01", "epochs=3", "xla=true", "data=/mnt/data", "dropout=0"]
    assert changed(QUICKTEST, given) == dataclasses.replace(
        QUICKTEST, learning_rate=0.01, epochs=3, xla=True, data="/mnt/data", dropout=0
    )
    with pytest.raises(ConfigError, match="learning_rate"):
        changed(QUICKTEST, ["learning_rate=fast"])


def test_what_does_not_decide_the_numbers_may_change_when_a_run_is_resumed() -> None:
    free = {
        "save_every_steps": 1,
        "save_every_seconds": 1.0,
        "keep": 9,
        "log_every": 3,
        "name": "x",
        "threads": 1,
        "data": "/mnt/x",
    }
    assert dataclasses.replace(QUICKTEST, **free).decides() == QUICKTEST.decides()  # type: ignore[arg-type]  # of all types
    for field in {each.name for each in dataclasses.fields(Config)} - free.keys():
        assert field in QUICKTEST.decides()


def test_patience_ends_a_run_and_a_loss_that_is_no_number_is_never_the_best() -> None:
    history = History()
    for loss in (1.0, 0.5, float("nan"), 0.6):
        history = history.closed({"test_loss": loss}, patience=2)
    assert (history.best_epoch, history.waited, history.stopped) == (1, 2, True)
    assert (
        History.from_json(history.as_json()) == history
        or history.epochs[2]["test_loss"] != history.epochs[2]["test_loss"]
    )


@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_epochs_are_reported_to_a_tracking_server_when_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History().closed({"test_loss": 0.5, "test_accuracy": 0.75}, 0)
    assert not report(history, {})
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/runs")  # MLflow itself would leave it to other tests
    assert report(history, os.environ)
    [run] = mlflow.MlflowClient().search_runs(["0"])
    assert run.data.metrics == {"test_loss": 0.5, "test_accuracy": 0.75}
