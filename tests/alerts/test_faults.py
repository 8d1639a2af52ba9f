"""Runs and alerts under faults: every call of a port may fail before or after its effect, or take its worker with it."""

from __future__ import annotations

import contextlib
import random

import pytest

from tests.alerts.world import JobWorld
from tests.fakes.faults import Crash, Fault
from tidegate.errors import TidegateError
from tidegate.runner import read_work_message

SEEDS = range(60)
RUNS = 12
_TROUBLE = (Fault.TRANSIENT, Fault.FAIL_BEFORE, Fault.FAIL_AFTER, Fault.CRASH_BEFORE, Fault.CRASH_AFTER)


class Troubled:
    """Faults at random, until they are switched off."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311  the seed makes a failure come again
        self.on = True
        self.unrecorded = False
        """Whether a mail went out and nobody wrote that down yet."""
        self.crash_windows = 0
        """Faults between a mail and the record of it: each may repeat one mail."""
        self.count = 0

    def __call__(self, port: str, method: str) -> Fault:
        fault = self._chosen(port)
        if port == "AlertEmail":
            self.unrecorded = fault in (Fault.OK, Fault.FAIL_AFTER, Fault.CRASH_AFTER)
        if self.unrecorded and port in ("AlertEmail", "StateStore"):
            self.crash_windows += fault is not Fault.OK
            self.unrecorded = not (method == "save" and fault is Fault.OK)
        return fault

    def _chosen(self, port: str) -> Fault:
        if not self.on or port == "Evidence" or self.random.random() > 0.12:
            return Fault.OK
        self.count += 1
        return self.random.choice(_TROUBLE)


def deliver(world: JobWorld, event: object) -> None:
    """As Event Grid: again until it is taken."""
    for _ in range(50):
        try:
            world.intake.run_status_changed(event)
        except (TidegateError, Crash):
            world.clock.advance(10)
        else:
            return
    raise AssertionError("never taken")


def drain(world: JobWorld) -> None:
    """As the host: a message whose worker failed comes back, and the timer wakes what was forgotten."""
    for _ in range(5000):
        delivery = world.queue.receive()
        if delivery is None:
            soonest = world.queue.next_at()
            if soonest is None:
                asleep = [row.wake_at for row in world.store.rows.values() if row.wake_at is not None]
                if not asleep:
                    return
                world.clock.advance_to(max(min(asleep), world.clock.now()))
                world.clock.advance(120)  # its message was lost: the timer finds it
                with contextlib.suppress(TidegateError, Crash):
                    world.runner.resume()
                continue
            world.clock.advance_to(soonest)
            continue
        try:
            world.runner.work(read_work_message(delivery.text))
            world.queue.delete(delivery)
        except (TidegateError, Crash):
            world.clock.advance(1)
    raise AssertionError("it does not end")


@pytest.mark.parametrize("seed", SEEDS)
def test_every_failed_run_is_in_a_mail_whatever_goes_wrong(seed: int) -> None:
    trouble = Troubled(seed)
    world = JobWorld(fault=trouble)
    chance = random.Random(seed + 1000)  # noqa: S311  as above
    events = []
    for number in range(RUNS):
        status = "completed" if number % 4 == 3 else "failed"
        facts = world.run_ends(f"r{number}", status, event=False, experiment=f"exp-{number % 3}", log="KeyError: 1")
        events += [world.event(facts)] * chance.choice((0, 1, 1, 3))
        events += [world.event(facts, "Running")] * chance.choice((0, 1))
    chance.shuffle(events)
    for event in events:
        deliver(world, event)
    for _ in range(3):
        try:
            drain(world)
        except AssertionError:
            break
    trouble.on = False
    world.intake.reconcile()  # some events never came
    drain(world)
    failed = {f"r{number}" for number in range(RUNS) if number % 4 != 3}
    words = [word.strip(",") for mail in world.email.mails for word in mail.text.split()]
    assert failed <= set(words), f"in no mail: {sorted(failed - set(words))}"
    for place, (at, _) in enumerate(world.email.sent):
        within = sum((each - at).total_seconds() < world.policy.within for each, _ in world.email.sent[place:])
        assert within <= world.policy.mails + trouble.crash_windows
    ids = [mail.id for mail in world.email.mails]
    assert len(ids) - len(set(ids)) <= trouble.crash_windows, "said twice outside the crash window"


def test_the_faults_above_do_happen() -> None:
    trouble = [Troubled(seed) for seed in SEEDS]
    for each in trouble:
        for _ in range(200):
            each("AlertEmail", "send")
    assert all(each.count and each.crash_windows for each in trouble)
