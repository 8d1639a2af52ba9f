"""A script is reloaded: the old one answers until the new one is ready, a bad one changes nothing, nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scoring.deploy import deploy
from scoring.local_service import LocalService, ServiceError
from tests.scoring import pictures

_SKELETON = Path(__file__).parents[2] / "scoring" / "skeleton" / "score.py"
_IMAGE = pictures.png(pictures.quadrants())


@pytest.fixture(autouse=True)
def _as_users_run_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    return Path(shutil.copy(_SKELETON, folder))


@pytest.fixture
def service(script: Path, tmp_path: Path) -> Iterator[LocalService]:
    say(script, "first")
    with deploy(tmp_path, "local", script=script) as running:
        yield running


def say(script: Path, word: str, init: str = "") -> None:
    """Make the script answer `word`, and do `init` first of all in its `init`."""
    text = re.sub(r"(picture\.height, ).*\)\]", rf'\1"{word}")]', _SKELETON.read_text())
    script.write_text(text.replace("def init() -> None:\n", f"def init() -> None:\n    {init}\n") if init else text)


def label(service: LocalService) -> str:
    answer: str = json.loads(service.score(_IMAGE, timeout=20.0))[0]["label"]
    return answer


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def family(service: LocalService) -> tuple[int, int, int]:
    """The worker, its server, and the process that forks servers."""
    server = parent_of(service.worker)
    return service.worker, server, parent_of(server)


def within_10_s(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_an_edited_script_answers_anew_after_a_reload(service: LocalService, script: Path) -> None:
    for word in ("second", "third"):
        say(script, word)
        service.reload()
        assert label(service) == word


def test_an_edit_of_the_same_length_in_the_same_second_is_seen(service: LocalService, script: Path) -> None:
    said = script.stat()
    for word in ("1", "2"):
        say(script, word)
        os.utime(script, ns=(said.st_mtime_ns, said.st_mtime_ns))
        service.reload()
        assert label(service) == word


def test_the_old_script_answers_until_the_init_of_the_new_one_has_returned(
    service: LocalService, script: Path, tmp_path: Path
) -> None:
    begun, may_end = tmp_path / "begun", tmp_path / "may end"
    wait = f"import os, time; open({str(begun)!r}, 'w').close()\n    while not os.path.exists({str(may_end)!r}): time.sleep(0.01)"
    say(script, "second", wait)
    reloading = threading.Thread(target=service.reload)
    reloading.start()
    assert within_10_s(begun.exists)
    assert [label(service) for _ in range(5)] == ["first"] * 5
    may_end.touch()
    reloading.join(20)
    assert label(service) == "second"


def test_no_request_fails_while_scripts_change(service: LocalService, script: Path) -> None:
    answers, faults, enough = list[str](), list[Exception](), threading.Event()

    def ask_again_and_again() -> None:
        while not enough.is_set():
            try:
                answers.append(label(service))
            except (OSError, ValueError) as fault:
                faults.append(fault)

    clients = [threading.Thread(target=ask_again_and_again) for _ in range(3)]
    for client in clients:
        client.start()
    for word in ("second", "third", "fourth"):
        say(script, word)
        service.reload()
        assert within_10_s(lambda word=word: word in answers or bool(faults))  # type: ignore[misc]  # a default, no argument
    enough.set()
    for client in clients:
        client.join(20)
    assert faults == []


def test_the_request_that_is_being_answered_is_answered_by_the_script_that_took_it(
    service: LocalService, script: Path, tmp_path: Path
) -> None:
    taken, may_end = tmp_path / "taken", tmp_path / "may end"
    wait = f"open({str(taken)!r}, 'w').close()\n    while not os.path.exists({str(may_end)!r}): time.sleep(0.01)\n"
    say(script, "slow")
    script.write_text(
        script.read_text().replace("    return answer(", f"    import os, time; {wait}    return answer(")
    )
    service.reload()
    said: list[str] = []
    client = threading.Thread(target=lambda: said.append(label(service)))
    client.start()
    assert within_10_s(taken.exists)
    say(script, "fast")
    reloading = threading.Thread(target=service.reload)
    reloading.start()
    assert label(service) == "fast"
    may_end.touch()
    client.join(20)
    reloading.join(20)
    assert said == ["slow"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("import missing_module\n", "missing_module"), ("def init(: pass\n", "SyntaxError"), ("", "init")],
    ids=["import", "syntax", "empty"],
)
def test_a_bad_script_is_told_and_the_one_before_goes_on(
    service: LocalService, script: Path, text: str, said: str
) -> None:
    worker = service.worker
    script.write_text(text)
    with pytest.raises(ServiceError, match=said):
        service.reload()
    assert (label(service), service.worker) == ("first", worker)
    say(script, "mended")
    service.reload()
    assert label(service) == "mended"


def test_a_script_that_never_gets_ready_is_ended_and_the_one_before_goes_on(
    service: LocalService, script: Path, tmp_path: Path
) -> None:
    hung = tmp_path / "hung"
    say(script, "second", f"import os, time; open({str(hung)!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    with pytest.raises(ServiceError, match=r"not ready after 3\.0 s"):
        service.reload(timeout=3.0)
    assert within_10_s(lambda: is_gone(int(hung.read_text())))
    assert label(service) == "first"


def test_servers_come_and_go_and_one_process_stays_that_has_imported_what_is_slow(
    service: LocalService, script: Path
) -> None:
    worker, server, parent = family(service)
    service.reload()
    assert is_gone(worker)
    assert is_gone(server)
    assert family(service)[2] == parent
    assert "ai_edge_litert" in Path(f"/proc/{parent}/maps").read_text()


def test_another_process_takes_the_place_of_one_that_was_killed(service: LocalService, script: Path) -> None:
    before = family(service)
    os.kill(before[2], signal.SIGKILL)
    assert within_10_s(lambda: all(map(is_gone, before))), "its servers end with it"
    say(script, "second")
    service.reload()
    assert label(service) == "second"


def test_nothing_is_imported_beforehand_when_that_is_switched_off(script: Path, tmp_path: Path) -> None:
    with deploy(tmp_path, "local", script=script, warm="") as service:
        assert label(service) in {"bright", "dark"}
        assert "numpy" not in Path(f"/proc/{family(service)[2]}/maps").read_text()
        say(script, "second")
        service.reload()
        assert label(service) == "second"


def test_a_service_that_was_stopped_leaves_nothing_and_can_be_started_again(script: Path, tmp_path: Path) -> None:
    service = LocalService(script, tmp_path)
    for _ in range(2):
        service.start()
        processes = family(service)
        service.stop()
        service.stop()
        assert all(map(is_gone, processes))
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("scoring-")] == []


def test_a_service_that_does_not_start_leaves_nothing(script: Path, tmp_path: Path) -> None:
    script.write_text("import missing_module\n")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ServiceError, match="missing_module"):
        deploy(tmp_path, "local", script=script)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("scoring-")] == []
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not any("local_server" in Path(f"/proc/{child}/cmdline").read_text() for child in children)


def test_a_service_ends_when_the_process_that_started_it_is_killed(script: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from scoring.local_service import LocalService\n"
        f"service = LocalService(Path({str(script)!r}), Path({str(tmp_path)!r})); service.start()\n"
        "print(service.worker, flush=True); time.sleep(600)\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as owner:
        assert owner.stdout is not None
        worker = int(owner.stdout.readline())
        server = parent_of(worker)
        processes = (worker, server, parent_of(server))
        owner.kill()
    assert within_10_s(lambda: all(map(is_gone, processes)))
