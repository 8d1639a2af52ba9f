"""What surrounds the product in a run: Event Grid, the Functions host with its queue and timer, people who push, and time.

Sources of the rules: azure-docs delivery-and-retry (at least once, no order, answer within 30 s), azure-webjobs-sdk
QueueListener (a message stays invisible while its function runs, comes back after 10 minutes when the host died, and goes to
the poison queue after the fifth failure), host.json (functionTimeout 10 minutes, 10 s between tries, a timer every 2 minutes).
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from typing import Any

from tests.fakes import Delivery, Fault
from tests.simulator.fibers import Fibers, Invocation
from tests.simulator.installation import HEALTHY, NO_BUG, STAGING, Bug, Installation, event_body
from tests.simulator.scenarios import REPOSITORY, Scenario, content, signature
from tidegate.events import envelope

FUNCTION_TIMEOUT = datetime.timedelta(seconds=600)
ANSWER_WITHIN = datetime.timedelta(seconds=30)
MAX_DEQUEUE = 5
_RETRIES = (10, 30, 60, 300, 600, 1800, 3600)
_TIMER = 120
_OVERDUE = datetime.timedelta(seconds=60)


@dataclasses.dataclass(slots=True, eq=False)
class GridEvent:
    """An event that Event Grid delivers until it was acknowledged, and sometimes once more."""

    name: str
    body: dict[str, Any]
    due: datetime.datetime
    left: int
    tries: int = 0


class Host:
    """One app with everything that calls it. Its actions are offered one by one; a driver chooses."""

    def __init__(self, scenario: Scenario, bug: Bug = NO_BUG, *, text: bool = False) -> None:
        self.scenario = scenario
        self.fibers = Fibers()
        self.app = Installation(scenario, self.fibers.fault, bug, text=text)
        self.clock = self.app.clock
        self.started = self.clock.now()
        self._deletes_early = bug.deletes_early
        self.acknowledged: Callable[[str, dict[str, Any]], None] = lambda name, body: None
        """Called with every event that the function answered with success."""
        self.pushed = 0
        self.redelivered = 0
        """Deliveries of events that had been delivered before."""
        self.redeployed = False
        self.events: list[GridEvent] = []
        self.running: list[Invocation] = []
        self._ends: dict[Invocation, Callable[[Invocation], None]] = {}
        self._poison: list[str] = []
        self._ticked = self.started
        self._told = 0

    # What can happen now

    def due_events(self) -> list[GridEvent]:
        now = self.clock.now()
        return [event for event in self.events if event.left > 0 and event.due <= now]

    def ready(self) -> list[Invocation]:
        """Invocations whose call may take place."""
        now = self.clock.now()
        return [each for each in self.running if each.stalled_until is None or each.stalled_until <= now]

    def has_message(self) -> bool:
        return bool(self.app.queue.visible())

    def has_poison(self) -> bool:
        return bool(self._poison)

    def is_timer_due(self) -> bool:
        due = self._timer_due()
        return due is not None and due <= self.clock.now()

    def next_moment(self) -> datetime.datetime | None:
        """When something happens by itself; None: nothing will."""
        now = self.clock.now()
        moments = [event.due for event in self.events if event.left > 0]
        moments += [each.stalled_until for each in self.running if each.stalled_until is not None]
        others = (self.app.queue.next_at(), self._timer_due(), self.push_time())
        moments += [each for each in others if each is not None]
        return min((each for each in moments if each > now), default=None)

    def push_time(self) -> datetime.datetime | None:
        """When the script has the next push; None: there is none, or it says nothing about it."""
        times = self.scenario.push_times[self.pushed : self.pushed + 1]
        return self.started + datetime.timedelta(seconds=times[0]) if times else None

    # Doing it

    def push(self) -> None:
        """Somebody pushes the next image: the staging tag moves, and Event Grid hears of it."""
        letter, tag = self.scenario.pushes[self.pushed]
        image = self.app.registry.push(STAGING, REPOSITORY, content(letter), tag=tag)
        if self.scenario.signed:
            self.app.registry.push(STAGING, REPOSITORY, signature(letter))
        self.pushed += 1
        body = event_body(self.pushed, image.digest, tag, self.clock.now())
        self.events.append(
            GridEvent(f"push {self.pushed} {letter}:{tag}", body, self.clock.now(), 1 + self.scenario.duplicates)
        )
        self.clock.advance(0.001)

    def redeploy(self) -> None:
        """The app goes on with a changed gate."""
        self.redeployed = True
        self.app.redeploy()

    def deliver(self, event: GridEvent) -> Invocation:
        """Event Grid calls the function."""
        event.left -= 1
        event.tries += 1
        self.redelivered += event.tries > 1
        intake = self.app.intake

        def ended(invocation: Invocation) -> None:
            if invocation.dead or invocation.error:
                self._again(event)
            else:
                self.acknowledged(event.name, event.body)

        return self._start(f"deliver {event.name}", lambda: intake.take(envelope(event.body)), ended)

    def _again(self, event: GridEvent) -> None:
        wait = _RETRIES[min(event.tries, len(_RETRIES)) - 1]
        event.due = self.clock.now() + datetime.timedelta(seconds=wait)
        event.left += 1

    def receive(self, text: str) -> Invocation:
        """The host hands one of the visible messages to the function."""
        delivery = self.app.queue.receive_text(text)
        if self._deletes_early:
            self.app.queue.delete(delivery)
        intake = self.app.intake
        name = f"work {text.partition('"key": "')[2].removesuffix('"}')}"
        return self._start(
            name, lambda: intake.work(text), lambda invocation: self._message_ended(invocation, delivery)
        )

    def _message_ended(self, invocation: Invocation, delivery: Delivery) -> None:
        queue = self.app.queue
        if invocation.dead:
            return  # it is visible again when its time of invisibility ends
        if not invocation.error:
            queue.delete(delivery)
        elif delivery.count < MAX_DEQUEUE:
            queue.release(delivery, 10)
        else:
            queue.delete(delivery)
            self._poison.append(delivery.text)

    def poison(self) -> Invocation:
        """A message that failed too often is handed to its own function."""
        text = self._poison.pop(0)

        def ended(invocation: Invocation) -> None:
            if invocation.dead or invocation.error:
                self._poison.append(text)

        return self._start("poisoned", lambda: self.app.intake.poisoned(text), ended)

    def tick(self) -> Invocation:
        """The timer runs."""
        self._ticked = self.clock.now()
        return self._start("resume", self.app.intake.resume, lambda invocation: None)

    def advance(self) -> None:
        """Nothing happens until the next thing does."""
        moment = self.next_moment()
        assert moment is not None
        self.clock.advance_to(moment)

    def step(self, invocation: Invocation, fault: Fault) -> None:
        """Let an invocation's call take place; a host ends what runs for too long."""
        if self.clock.now() - invocation.started >= FUNCTION_TIMEOUT:
            fault = Fault.CRASH_BEFORE
        invocation.stalled_until = None
        self.fibers.step(invocation, fault)
        self._end_if_over(invocation)

    def stall(self, invocation: Invocation, seconds: float) -> None:
        """The call takes long. Event Grid does not wait for an answer longer than it says, and delivers again."""
        until = self.clock.now() + datetime.timedelta(seconds=seconds)
        invocation.stalled_until = min(until, invocation.started + FUNCTION_TIMEOUT)
        for event in self.events:
            if invocation.name == f"deliver {event.name}" and seconds > ANSWER_WITHIN.total_seconds():
                event.due = self.clock.now() + ANSWER_WITHIN
                event.left += 1

    def repeat_message(self, text: str) -> None:
        """A message is handed over twice: its time of invisibility was not renewed."""
        self.app.queue.send(text, 0)

    def echo(self) -> None:
        """What we write to the healthy registry is a push as well, and the same endpoint may hear of it."""
        writes = self.app.registry.writes
        if len(writes) == self._told:
            return
        for what, where in writes[self._told :]:
            if what == "tag":
                place, digest = where.split(" ")
                body = event_body(100 + len(self.events), digest, place.rpartition(":")[2], self.clock.now(), HEALTHY)
                self.events.append(GridEvent(f"echo {len(self.events)}", body, self.clock.now(), 1))
        self._told = len(writes)

    def _start(self, name: str, body: Callable[[], None], ended: Callable[[Invocation], None]) -> Invocation:
        invocation = self.fibers.start(name, body, self.clock.now())
        self.running.append(invocation)
        self._ends[invocation] = ended
        self._end_if_over(invocation)
        return invocation

    def _end_if_over(self, invocation: Invocation) -> None:
        if invocation.over:
            self.running.remove(invocation)
            self._ends.pop(invocation)(invocation)

    def _timer_due(self) -> datetime.datetime | None:
        """When the timer has something to do next; runs that find nothing are left out."""
        waking = [row.wake_at for row in self.app.store.rows.values() if row.wake_at is not None]
        if not waking or not self.scenario.timer:
            return None
        since_start = max(min(waking) + _OVERDUE, self._ticked) - self.started
        turns = since_start // datetime.timedelta(seconds=_TIMER) + 1
        return self.started + datetime.timedelta(seconds=_TIMER * turns)
