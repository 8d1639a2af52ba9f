"""A notice saves at once and loses nothing; what must not be resumed is refused."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import threading
import time
from pathlib import Path
from typing import override

from local.scheduled_events import ScheduledEvents
from tests.trainer.children import command_line
from tests.trainer.metadata import serving
from tests.trainer.runs import SHORT, Undisturbed
from trainer.drill import CONTEXT, live
from trainer.places import Folder
from trainer.run_lock import NAME
from trainer.store import Store


class Approvals(list[str]):
    """Events that Azure was told it need not wait with; `durable` is the step of the newest checkpoint in that moment."""

    def __init__(self, workdir: Path) -> None:
        super().__init__()
        self._workdir, self.durable = workdir, -1

    @override
    def append(self, event: str, /) -> None:
        super().append(event)
        newest = Store(Folder(self._workdir), 3, print).newest()
        self.durable = -1 if newest is None else newest.step


def test_preempt_saves_within_a_second_and_exits_with_a_status_that_means_resume_me(tmp_path: Path) -> None:
    long = dataclasses.replace(SHORT, epochs=6, save_every_steps=10_000)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(long.as_json()))
    metadata = ScheduledEvents("spot-vm-0")
    metadata.approved = approvals = Approvals(tmp_path / "run")
    with serving(metadata) as base:
        ours, theirs = CONTEXT.Pipe(duplex=False)
        arguments = ["--config", str(config), "--workdir", str(tmp_path / "run")]
        process = CONTEXT.Process(target=command_line, args=(arguments, {"TRAINER_METADATA_URL": base}, theirs))
        process.start()
        theirs.close()
        told = []
        with contextlib.suppress(EOFError):
            while ours.poll(60):
                told.append(json.loads(ours.recv()))
                if told[-1]["event"] == "progress" and len(told) == 2:
                    metadata.announce()
        process.join(60)
    end = told[-1]
    assert (process.exitcode, end["event"]) == (75, "evicted"), end
    assert end["notice_to_durable_s"] < 1.0
    assert len(approvals) == 1, "Azure was not told that it need not wait"
    assert approvals.durable == end["step"], "it was told before everything was durable"
    resumed = live(dataclasses.replace(long, log_every=1), tmp_path / "run")
    assert resumed.result is not None
    assert resumed.resumed_at == end["step"] == [each["step"] for each in told if each["event"] == "progress"][-1]
    undisturbed = live(long, tmp_path / "undisturbed")
    assert undisturbed.result is not None
    assert resumed.result["digest"] == undisturbed.result["digest"]


def test_on_a_machine_that_differs_the_run_says_that_it_is_not_exact_and_why(tmp_path: Path) -> None:
    killed = live(SHORT, tmp_path, (12, 0.0))
    assert killed.result is None
    other = dataclasses.replace(SHORT, threads=7)
    killed_there = live(other, tmp_path, (25, 0.0))
    assert killed_there.result is None
    assert "threads: " in killed_there.why
    again = live(other, tmp_path)
    assert again.why == "", "it goes on where it was"
    assert again.result is not None
    assert again.result["exact"] == "no", "what was inexact once stays so"


def test_changed_data_and_another_configuration_are_refused(undisturbed: Undisturbed, tmp_path: Path) -> None:
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed.workdir, workdir)
    before = sorted(path.name for path in (workdir / "checkpoints").iterdir())
    for changed, word in ((dataclasses.replace(SHORT, learning_rate=0.1), "learning_rate"), (SHORT, "data")):
        if word == "data":
            store = Store(Folder(workdir), 3, print)
            checkpoint = store.newest()
            assert checkpoint is not None
            store.publish(dataclasses.replace(checkpoint, meta={**checkpoint.meta, "data": "other"}), best=False)
            before = sorted(path.name for path in (workdir / "checkpoints").iterdir())
        refused = live(changed, workdir)
        assert refused.result is not None
        assert word in refused.result["message"]
        assert sorted(path.name for path in (workdir / "checkpoints").iterdir()) == before


def test_a_damaged_newest_checkpoint_costs_steps_and_nothing_else(undisturbed: Undisturbed, tmp_path: Path) -> None:
    killed = live(SHORT, tmp_path, (17, 0.03))
    assert killed.result is None
    newest = Store(Folder(tmp_path), 3, print).manifests()[-1]
    data = tmp_path / newest.data
    data.write_bytes(data.read_bytes()[:1000])
    resumed = live(SHORT, tmp_path)
    assert resumed.result is not None
    assert resumed.resumed_at < newest.step
    assert any("damaged" in each for each in resumed.warnings)
    assert resumed.result["digest"] == undisturbed.digest


def test_a_second_trainer_of_one_run_is_refused(tmp_path: Path) -> None:
    Folder(tmp_path).write(NAME, [json.dumps({"host": "other", "boot": "b", "pid": 1, "started": "1"}).encode()])
    stop = threading.Event()

    def renew() -> None:
        count = 0
        while not stop.wait(1.0):
            count += 1
            Folder(tmp_path).write(NAME, [json.dumps({"host": "other", "pid": 1, "renewals": count}).encode()])

    thread = threading.Thread(target=renew)
    thread.start()
    began = time.monotonic()
    refused = live(SHORT, tmp_path)
    stop.set()
    thread.join()
    assert refused.result is not None
    assert "process 1 on other" in refused.result["message"]
    assert time.monotonic() - began < 30
