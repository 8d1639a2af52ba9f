"""Whatever comes in whatever order, twice or broken off: the end is the same. Hypothesis chooses."""

from __future__ import annotations

from typing import Any, override

import hypothesis.strategies as some
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fakes import Content, Crash, Fault, image
from tests.runner.world import HEALTHY, World
from tidegate import ports
from tidegate.errors import TransientError
from tidegate.flows.images import image_states as st
from tidegate.references import ImageRef
from tidegate.runner import read_work_message

REPOSITORY = "training/litter"
IMAGES = {letter: image(letter) for letter in "abc"}
BAD = "c"
FAULTS = [Fault.TRANSIENT, Fault.FAIL_BEFORE, Fault.FAIL_AFTER, Fault.CRASH_BEFORE, Fault.CRASH_AFTER]


class Schedules(RuleBasedStateMachine):
    """A world in which pushes, deliveries, messages, time and faults come in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.tests.verdict = self._verdict
        self.events: list[tuple[str, Any]] = []
        self.waiting: list[int] = []
        self.pushed: list[tuple[str, str]] = []
        self.verdicts: dict[str, set[Any]] = {}
        self.at_work = False
        self.countdown = 0
        self.fault = Fault.OK

    def _verdict(self, tested: ImageRef, number: int) -> ports.TestStatus:
        return ports.TestFailed("exit code 1") if tested.digest == IMAGES[BAD].digest else ports.TestPassed()

    def _hook(self, port: str, method: str) -> Fault:
        if not self.at_work:
            return Fault.OK
        self.countdown -= 1
        return self.fault if self.countdown == 0 else Fault.OK

    @initialize(test=some.sampled_from([0, 5]), copy=some.sampled_from([0, 5]))
    def begin(self, test: float, copy: float) -> None:
        self.world.tests.seconds = test
        self.world.registry.import_seconds = copy
        self.world.inject(self._hook)

    @precondition(lambda self: len(self.pushed) < 5)
    @rule(letter=some.sampled_from("abc"), tag=some.sampled_from(["v1", "v2"]))
    def push(self, letter: str, tag: str) -> None:
        self.waiting.append(len(self.events))
        self.events.append(self.world.push(REPOSITORY, IMAGES[letter], tag))
        self.pushed.append((letter, tag))

    @precondition(lambda self: self.waiting)
    @rule(place=some.integers(0, 4))
    def deliver(self, place: int) -> None:
        number = self.waiting[place % len(self.waiting)]
        if self._survives(lambda: self.world.runner.deliver(*self.events[number])):
            self.waiting.remove(number)

    @precondition(lambda self: self.events)
    @rule(place=some.integers(0, 4))
    def deliver_again(self, place: int) -> None:
        event = self.events[place % len(self.events)]
        self._survives(lambda: self.world.runner.deliver(*event))

    @precondition(lambda self: self.world.queue.visible())
    @rule(lost=some.booleans())
    def work(self, lost: bool) -> None:
        delivery = self.world.queue.receive(visibility=600)
        assert delivery is not None
        if lost or self._survives(lambda: self.world.runner.work(read_work_message(delivery.text))):
            self.world.queue.delete(delivery)
        else:
            self.world.queue.release(delivery, 10)

    @rule()
    def resume(self) -> None:
        self._survives(self.world.runner.resume)

    @rule(seconds=some.sampled_from([1, 31, 700]))
    def let_time_pass(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule(calls=some.integers(1, 25), fault=some.sampled_from(FAULTS))
    def break_a_call(self, calls: int, fault: Fault) -> None:
        self.countdown, self.fault = calls, fault

    def _survives(self, work: Any) -> bool:
        self.at_work = True
        try:
            work()
        except (Crash, TransientError):
            return False
        finally:
            self.at_work = False
        return True

    @invariant()
    def only_images_that_passed_are_at_the_destination(self) -> None:
        there = self.world.registry.repository(HEALTHY, REPOSITORY)
        passed = {
            run.image.digest
            for run in self.world.tests.runs.values()
            if self.world.tests._status(run.id) == ports.TestPassed()
        }
        assert {content.digest for content in IMAGES.values()} & set(there.manifests) <= passed
        assert set(there.tags.values()) <= passed

    @invariant()
    def a_verdict_never_changes(self) -> None:
        for key, _ in self.events:
            verdict = getattr(self.world.state(key), "verdict", None)
            if verdict is not None:
                self.verdicts.setdefault(key, set()).add(verdict)
        assert all(len(each) == 1 for each in self.verdicts.values())

    @override
    def teardown(self) -> None:
        """Nothing goes wrong any more; everything that was sent arrives; the end is what the pushes ask for."""
        for event in self.events:
            self.world.runner.deliver(*event)
        self.world.settle()
        for key, _ in self.events:
            assert isinstance(self.world.state(key), st.Promoted | st.Rejected | st.Superseded)
        for tag in {tag for _, tag in self.pushed}:
            newest = [letter for letter, pushed in self.pushed if pushed == tag][-1]
            if newest != BAD:
                assert self.world.healthy_tag(REPOSITORY, tag) == IMAGES[newest].digest
        self._every_end_was_told()

    def _every_end_was_told(self) -> None:
        """Each outcome once, as a subscriber sees it that drops repeated ids."""
        told = [(each.type, each.subject) for each in self.world.topic.distinct().values()]
        for key, event in self.events:
            state = self.world.state(key)
            if isinstance(state, st.Promoted) and ("v1", "placed") in {(c.tag, c.status) for c in state.work.claims}:
                assert ("Tidegate.ImagePromoted", f"{REPOSITORY}:v1") in told
            if isinstance(state, st.Rejected):
                rejections = [kind for kind, _ in told if kind == "Tidegate.ImageRejected"]
                assert len(rejections) == 1, event


TestSchedules = Schedules.TestCase
TestSchedules.settings = settings(
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)


@pytest.mark.parametrize("content", [IMAGES["a"]])
def test_the_machine_would_see_an_image_that_did_not_pass(content: Content) -> None:
    schedules = Schedules()
    schedules.world.registry.push(HEALTHY, REPOSITORY, content, tag="v1")
    with pytest.raises(AssertionError):
        schedules.only_images_that_passed_are_at_the_destination()


def test_the_machine_would_see_a_tag_that_went_to_an_older_push() -> None:
    schedules = Schedules()
    schedules.begin(5, 5)
    schedules.push("a", "v1")
    schedules.push("b", "v1")
    schedules.pushed.reverse()
    with pytest.raises(AssertionError):
        schedules.teardown()
