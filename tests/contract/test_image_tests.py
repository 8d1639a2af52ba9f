"""Fake and adapter keep the same promises of the ImageTests port; the adapter runs real images in real containers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import pytest

from local import world
from tests.cloud.world import eventually
from tests.contract.registries import SETTINGS
from tests.fakes import FakeClock, FakeTests
from tests.tasks.conftest import Pushed
from tests.tasks.tasks import UNITTEST, LocalCredential, Tasks
from tidegate import ports
from tidegate.adapters.registry.image_tests import RegistryTasks
from tidegate.errors import PermanentError
from tidegate.flows.images.image_gate import ImageTest
from tidegate.references import ImageRef

TEST = ImageTest("acr-task", tuple(UNITTEST.split()), 60, 1, 256 * 2**20, 16 * 2**20, (), 3)


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    """The port, one image that passes, one that fails, and the passing of time."""

    port: ports.ImageTests
    passes: ImageRef
    fails: ImageRef
    wait: Callable[[str], ports.TestStatus]

    def run(self, image: ImageRef, test: ImageTest = TEST) -> tuple[str, ports.TestStatus]:
        run = self.port.start(image, test)
        return run, self.wait(run)


@pytest.fixture(params=["fake", pytest.param("wire", marks=[pytest.mark.stack, pytest.mark.containers])])
def tests(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "fake":
        yield in_memory()
    else:
        yield request.getfixturevalue("wire")


def in_memory() -> World:
    clock = FakeClock()
    passes, fails = (ImageRef(world.STAGING, f"tests/{name}", "sha256:" + "a" * 64) for name in ("passes", "fails"))
    failed = ports.TestFailed("the command ended with exit status 1")
    port = FakeTests(clock, verdict=lambda image, _: ports.TestPassed() if image == passes else failed, seconds=30)

    def wait(run: str) -> ports.TestStatus:
        clock.advance(30)
        return port.status(run)

    return World(port, passes, fails, wait)


def on_the_wire(tasks: Tasks, images: Pushed) -> World:
    transport = tasks.client._client._pipeline._transport  # to the stand-in, which serves no front here
    port = RegistryTasks(SETTINGS, LocalCredential(), transport=transport)

    def wait(run: str) -> ports.TestStatus:
        def ended() -> ports.TestStatus | None:
            status = port.status(run)
            return None if status == ports.TestRunning() else status

        status: ports.TestStatus = eventually(ended, f"{run} does not end", seconds=60)
        return status

    return World(port, _named(images.passes), _named(images.fails), wait)


def _named(text: str) -> ImageRef:
    repository, _, digest = text.removeprefix("$Registry/").partition("@")
    return ImageRef(world.STAGING, repository, digest)


def test_an_image_passes_or_fails_by_its_command(tests: World) -> None:
    assert tests.run(tests.passes)[1] == ports.TestPassed()
    assert tests.run(tests.fails)[1] == ports.TestFailed("the command ended with exit status 1")


def test_a_started_run_is_running_or_done_and_has_an_id_of_its_own(tests: World) -> None:
    first, second = tests.port.start(tests.passes, TEST), tests.port.start(tests.passes, TEST)
    assert first != second
    assert tests.port.status(first) in (ports.TestRunning(), ports.TestPassed())
    assert tests.wait(first) == tests.wait(second) == ports.TestPassed()


def test_the_end_of_the_log_is_what_is_got(tests: World) -> None:
    run, _ = tests.run(tests.fails)
    log = tests.port.log(run, 1_000_000)
    assert len(log) > 10
    assert tests.port.log(run, 10) == log[-10:]
    assert tests.port.log(run, 0) == b""


def test_a_stopped_run_is_no_verdict_and_stopping_it_again_changes_nothing(tests: World) -> None:
    slow = dataclasses.replace(TEST, command=("sleep", "50"))
    run = tests.port.start(tests.passes, slow)
    tests.port.stop(run)
    tests.port.stop(run)
    assert isinstance(tests.wait(run), ports.TestErrored)
    tests.port.stop(run)


def test_a_run_that_has_ended_keeps_its_verdict_when_it_is_stopped(tests: World) -> None:
    run, verdict = tests.run(tests.passes)
    tests.port.stop(run)
    assert tests.port.status(run) == verdict


@pytest.mark.parametrize("run", ["ca999999", "", "../runs/ca1", "ca1?x"])
def test_an_unknown_run_is_no_verdict_and_has_no_log(tests: World, run: str) -> None:
    assert isinstance(tests.port.status(run), ports.TestErrored)
    assert tests.port.log(run, 100) == b""
    tests.port.stop(run)


def test_a_dry_run_starts_nothing(tests: World) -> None:
    call = tests.port.start_call(tests.passes, TEST)
    assert UNITTEST in call.detail


@pytest.fixture
def wire(tasks: Tasks, images: Pushed, log_host: None) -> World:
    return on_the_wire(tasks, images)


@pytest.mark.stack
@pytest.mark.containers
def test_arguments_and_environment_reach_the_image_unchanged(wire: World) -> None:
    words = ["", "a b", "$HOME $Registry", "{{.Run.ID}}", "it's", 'say "x"', "back\\slash", "line\nbreak", "🐚", "; id"]
    script = "import os, sys; sys.exit(sys.argv[1:] != eval(os.environ['WORDS']))"
    test = dataclasses.replace(
        TEST, command=("python3", "-c", script, *words), environment=(("WORDS", ascii(words)), ("HOME", "/tmp"))
    )
    run, verdict = wire.run(wire.passes, test)
    assert verdict == ports.TestPassed(), wire.port.log(run, 5000)


@pytest.mark.stack
@pytest.mark.containers
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("no-such-command",), "the command is not in the image (exit status 127)"),
        (("/etc/passwd",), "the command cannot be executed (exit status 126)"),
        (("python3", "-c", "import sys; sys.exit(3)"), "the command ended with exit status 3"),
        (("sleep", "30"), "the test took longer than its time, and was stopped after 2 s"),  # or 3, on a busy machine
    ],
)
def test_a_failure_says_why(wire: World, command: tuple[str, ...], reason: str) -> None:
    timeout = 2 if command[0] == "sleep" else 60
    _, verdict = wire.run(wire.passes, dataclasses.replace(TEST, command=command, timeout=timeout))
    assert isinstance(verdict, ports.TestFailed)
    assert verdict.reason[:53] == reason[:53]


@pytest.mark.stack
@pytest.mark.containers
def test_an_image_that_is_not_there_is_no_verdict(wire: World) -> None:
    _, verdict = wire.run(dataclasses.replace(wire.passes, digest="sha256:" + "0" * 64))
    assert isinstance(verdict, ports.TestErrored)


def test_an_image_of_another_registry_is_refused() -> None:
    port = RegistryTasks(SETTINGS, LocalCredential())
    with pytest.raises(PermanentError):
        port.start(ImageRef(world.HEALTHY, "a/b", "sha256:" + "0" * 64), TEST)
