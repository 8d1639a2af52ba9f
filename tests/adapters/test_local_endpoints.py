"""Local endpoints: real inference servers on this machine, reloaded when their script is edited."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.ml_world import NOW, candidate, instance, target
from tests.cloud.world import eventually
from tidegate.adapters.serving import local_servers
from tidegate.adapters.serving.local_endpoints import LocalEndpoints
from tidegate.adapters.storage.blob_folders import File
from tidegate.errors import PermanentError
from tidegate.flows.models.model_facts import Traffic, Weights

PYTHON = str(Path(__file__).parents[2] / ".tools/serving/bin/python")
TARGET = target("local", "digits-dev")
BLUE, GREEN = "digits-7-0f3c5a1b9d24", "digits-8-aaaaaaaaaaaa"
SCRIPT = """
import os, pathlib

def init():
    global answer
    answer = (pathlib.Path(os.environ["AZUREML_MODEL_DIR"]) / "answer.txt").read_text()

def run(data):
    return {"answer": answer, "mode": os.environ.get("MODE"), "secret": os.environ.get("SECRET")}
"""


BROKEN = SCRIPT.replace("    global answer", "    raise RuntimeError('no weights')")


class FolderInMemory:
    """As much of a folder as is downloaded."""

    def __init__(self, **files: bytes) -> None:
        self._contents = {name.replace("__", "/"): content for name, content in files.items()}

    def files(self) -> list[File]:
        return [File(name, name, len(content), "1", "", {}) for name, content in self._contents.items()]

    def chunks(self, file: File) -> Iterator[bytes]:
        yield self._contents[file.path]


def artefact(answer: str = "7", script: str = SCRIPT) -> FolderInMemory:
    return FolderInMemory(**{"answer.txt": answer.encode(), "scoring__score.py": script.encode()})


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where deployments are; their servers end with the test."""
    yield tmp_path
    for state in tmp_path.glob("*/*/server.json"):
        local_servers.stop(state.parent)


@contextlib.contextmanager
def local(folder: Path, source: FolderInMemory) -> Iterator[LocalEndpoints]:
    with contextlib.closing(LocalEndpoints(str(folder), PYTHON, lambda asset: source)) as each:  # type: ignore[arg-type,return-value]
        yield each


def answer(endpoints: LocalEndpoints, deployment: str = BLUE) -> dict[str, str]:
    found: dict[str, str] = json.loads(endpoints.ask(TARGET, deployment, b"{}", 10).body or b"{}")
    return found


def ready(endpoints: LocalEndpoints, deployment: str = BLUE) -> None:
    eventually(lambda: endpoints.deployment(TARGET, deployment).state != "busy", "never decided", 60)
    assert endpoints.deployment(TARGET, deployment).state == "ready", endpoints.deployment(TARGET, deployment)


@pytest.mark.stack
def test_a_model_is_served_by_a_real_server_and_reloaded_when_its_script_is_edited(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "of this process")
    with local(folder, artefact()) as endpoints:
        for _ in range(2):
            endpoints.create(TARGET, BLUE, candidate(MODE="fast"), instance())
        ready(endpoints)
        assert answer(endpoints) == {"answer": "7", "mode": "fast", "secret": None}
        memory, started = endpoints.memory(TARGET, BLUE, instance()), endpoints.started(TARGET, BLUE)
        assert memory is not None
        assert memory > 10 << 20
        assert started is not None
        assert 0 < started < 60

        script = folder / "digits-dev" / BLUE / "files/scoring/score.py"
        script.write_text(SCRIPT.replace('"answer": answer', '"answer": "edited"'))
        later = itertools.count(int(time.time()) + 2)  # whatever the file system's clock is good for

        def saved_again() -> bool:
            """The server begins to watch some time after its first answer; an editor saves more than once, too."""
            at = next(later)
            os.utime(script, (at, at))
            return bool(answer(endpoints).get("answer") == "edited")

        eventually(saved_again, "never reloaded", 30)

    with local(folder, artefact()) as another:  # another process finds it again
        assert answer(another)["answer"] == "edited"
        another.remove(TARGET, BLUE)
        assert another.deployment(TARGET, BLUE).state == "missing"


@pytest.mark.stack
def test_a_script_that_fails_is_told_and_once_mended_it_serves(folder: Path) -> None:
    with local(folder, artefact(script=BROKEN)) as endpoints:
        endpoints.create(TARGET, BLUE, candidate(), instance())
        eventually(lambda: endpoints.deployment(TARGET, BLUE).state == "failed", "never failed", 60)
        seen = endpoints.deployment(TARGET, BLUE)
        assert seen.code == "UserScriptInitFailed"
        assert "no weights" in seen.reason
        script = folder / "digits-dev" / BLUE / "files/scoring/score.py"
        script.write_text(SCRIPT)
        later = time.time() + 2  # whatever the file system's clock is good for
        os.utime(script, (later, later))
        ready(endpoints)
        assert answer(endpoints)["answer"] == "7"


def test_where_no_folder_is_set_it_is_refused_by_name() -> None:
    endpoints = LocalEndpoints("", PYTHON, lambda asset: pytest.fail("nothing is read"))
    with (
        contextlib.closing(endpoints),
        pytest.raises(PermanentError, match=r"LocalNotEnabled: .*TIDEGATE_LOCAL_ENDPOINTS"),
    ):
        endpoints.ensure(TARGET)


def test_who_serves_is_a_file_and_all_of_it_moves_at_once(folder: Path) -> None:
    with local(folder, artefact()) as endpoints:
        assert endpoints.look(TARGET).state == "missing"
        assert endpoints.ensure(TARGET).weights == Weights(())
        for name in (BLUE, GREEN):
            (folder / "digits-dev" / name).mkdir()
        endpoints.shift(TARGET, Weights(((BLUE, 100),)))
        with pytest.raises(PermanentError, match="it has traffic"):
            endpoints.remove(TARGET, BLUE)
        endpoints.shift(TARGET, Weights(((GREEN, 100),)))
        assert endpoints.look(TARGET).weights == Weights(((GREEN, 100),))
        assert endpoints.remove(TARGET, BLUE)
        with pytest.raises(PermanentError, match="it is not there"):
            endpoints.shift(TARGET, Weights(((BLUE, 100),)))
        with pytest.raises(PermanentError, match="do not share traffic"):
            endpoints.shift(TARGET, Weights(((BLUE, 90), (GREEN, 10))))
        assert endpoints.traffic(TARGET, GREEN, NOW, mirrored=False) == Traffic(0, 0, None)


@pytest.mark.parametrize("path", ["../evil.py", "a/../../evil.py", "/evil.py", "a//b"])
def test_a_file_that_leads_out_of_the_artefact_is_not_written(folder: Path, path: str) -> None:
    with local(folder, FolderInMemory(**{path: b"x"})) as endpoints:
        with pytest.raises(PermanentError, match="leads out of the artefact"):
            endpoints.create(TARGET, BLUE, candidate(), instance())
        assert list(folder.rglob("evil.py")) == []


@pytest.mark.parametrize("name", ["../other", "a/b", "", ".", "x" * 33])
def test_a_name_that_is_none_of_a_deployment_is_refused(folder: Path, name: str) -> None:
    with local(folder, artefact()) as endpoints, pytest.raises(PermanentError, match="no name of"):
        endpoints.remove(TARGET, name)


def test_an_image_that_brings_its_script_cannot_be_served_here(folder: Path) -> None:
    with local(folder, artefact()) as endpoints, pytest.raises(PermanentError, match=r"^NoScript: "):
        endpoints.create(TARGET, BLUE, candidate(script=""), instance())


def test_other_bytes_under_the_name_are_refused(folder: Path) -> None:
    place = folder / "digits-dev" / BLUE
    place.mkdir(parents=True)
    state = {"pid": 1, "began": "never", "port": 1, "model": "ef" * 32, "script": "scoring/score.py", "created": 0.0}
    (place / "server.json").write_text(json.dumps({**state, "variables": {}}))
    with local(folder, artefact()) as endpoints, pytest.raises(PermanentError, match=r"^NameTaken: "):
        endpoints.create(TARGET, BLUE, candidate(), instance())


def test_a_server_that_ended_and_that_nobody_asked_about_is_not_alive() -> None:
    """Started by another process, which has not taken its exit status: the kernel still lists it."""
    program = (
        "import subprocess, sys; child = subprocess.Popen(['true']); print(child.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        listed = Path(f"/proc/{pid}/stat")
        eventually(lambda: " Z " in listed.read_text(), "it did not end")
        began = listed.read_text().rpartition(")")[2].split()[19]
        server = local_servers.Server(pid, began, 1, "m", "s", 0.0)
        assert not server.is_alive
        assert local_servers.Server(parent.pid, "0", 1, "m", "s", 0.0).is_alive is False  # another process of this id
        parent.communicate("")
