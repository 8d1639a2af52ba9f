"""Image tests that end when a test says so, or by themselves after a while of virtual time."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable

from tests.fakes.clock import FakeClock
from tests.fakes.faults import FakePort, FaultHook, call, healthy
from tidegate.flows.images.image_gate import ImageTest
from tidegate.ports import Call, TestErrored, TestPassed, TestRunning, TestStatus
from tidegate.references import ImageRef


@dataclasses.dataclass(slots=True)
class Run:
    """One run: what was asked for, and what became of it."""

    id: str
    image: ImageRef
    test: ImageTest
    started: datetime.datetime
    verdict: TestStatus
    """What the run answers once `seconds` have passed, or once it was finished by hand."""
    seconds: float
    log: bytes = b""
    stopped: bool = False


def always_passes(image: ImageRef, number: int) -> TestStatus:
    """Every run passes."""
    return TestPassed()


class FakeTests(FakePort):
    """The port; `verdict(image, number of the run)` decides, after `seconds` of virtual time."""

    port = "ImageTests"

    def __init__(
        self,
        clock: FakeClock,
        fault: FaultHook = healthy,
        *,
        verdict: Callable[[ImageRef, int], TestStatus] = always_passes,
        seconds: float = 0,
    ) -> None:
        super().__init__(fault)
        self._clock = clock
        self.verdict = verdict
        self.seconds = seconds
        self.runs: dict[str, Run] = {}

    @call
    def start(self, image: ImageRef, test: ImageTest) -> str:
        number = len(self.runs) + 1
        run = Run(f"run-{number}", image, test, self._clock.now(), self.verdict(image, number), self.seconds)
        run.log = f"log of {run.id}: {image}\n".encode()
        self.runs[run.id] = run
        return run.id

    def start_call(self, image: ImageRef, test: ImageTest) -> Call:
        return Call("start test", str(image), " ".join(test.command))

    @call
    def status(self, run: str) -> TestStatus:
        return self._status(run)

    @call
    def log(self, run: str, limit: int) -> bytes:
        known = self.runs.get(run)
        return known.log[-limit:] if known and limit > 0 else b""

    @call
    def stop(self, run: str) -> None:
        if self._status(run) == TestRunning():
            self.runs[run].stopped = True

    def finish(self, run: str, verdict: TestStatus) -> None:
        """End a run by hand, now."""
        self.runs[run].verdict = verdict
        self.runs[run].seconds = 0

    def lose(self, run: str) -> None:
        """The service forgets the run."""
        del self.runs[run]

    def _status(self, run: str) -> TestStatus:
        if run not in self.runs:
            return TestErrored(f"run {run} is not known any more")
        known = self.runs[run]
        if known.stopped:
            return TestErrored(f"run {run} was cancelled")
        ends = known.started + datetime.timedelta(seconds=known.seconds)
        return known.verdict if self._clock.now() >= ends else TestRunning()
