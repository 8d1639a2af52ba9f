"""One simulated run around an endpoint: what happens in its world, and what is checked after it.

Everything said to the endpoint is delivered until it was taken, and sometimes once more.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
from collections.abc import Callable, Iterator
from typing import Any, override

from tests.fakes import Fault
from tests.simulator.endpoint_service import NOTHING
from tests.simulator.fibers import Fibers, Invocation
from tests.simulator.model_installation import KEY, NO_MODEL_BUG, ModelBug, ModelInstallation
from tests.simulator.model_scenarios import ModelScenario, Said
from tests.simulator.model_watch import ModelWatch, check_model_end
from tests.simulator.played import Played
from tests.simulator.run import Kind, Option
from tidegate.flows.models.model_facts import Weights
from tidegate.runner import read_work_message, work_message

_REPEATED = datetime.timedelta(seconds=200)
"""After what time something that is said twice is said again: long enough for what it led to to be over."""
_ACTS_UNTIL = datetime.timedelta(hours=1)
"""What is done by hand after the last look at the endpoint, a day later, is found by nobody but the next rollout."""
type ModelChooser = Callable[[int, "ModelRun"], int]


@dataclasses.dataclass(slots=True, eq=False)
class Word:
    """Something that is said to the endpoint, until it was heard."""

    said: Said
    due: datetime.datetime
    left: int
    event: Any = None
    """Made when it is said for the first time: a repeated one is the same."""


class ModelRun(Played):
    """An installation, its host and a watch, moved on choice by choice."""

    law = "C6"
    reading = frozenset({"load", "look", "deployment", "ask", "traffic", "memory", "started", "due"})
    racy = frozenset({"load", "save", "shift", "create", "remove", "ensure"})
    refusing = "Endpoints"

    def __init__(self, scenario: ModelScenario, bug: ModelBug = NO_MODEL_BUG, *, text: bool = False) -> None:
        self.scenario = scenario
        fibers = Fibers()
        self.app = ModelInstallation(scenario, fibers.fault, bug, text=text)
        super().__init__(fibers, self.app.clock, self.app.store, self.app.queue)
        self.words = [Word(said, self.at(said.seconds), 1 + scenario.duplicates) for said in scenario.said]
        self.outside = list(scenario.outside)
        self.watch = ModelWatch(self)

    @override
    def look(self) -> None:
        self.watch.look()

    @override
    def check_end(self) -> None:
        check_model_end(self)

    @override
    def before(self, invocation: Invocation, fault: Fault) -> None:
        """Nothing is noted: the watch looks at the service."""

    @override
    def resume(self) -> None:
        self.app.runner.resume()

    # What begins

    @override
    def starts(self) -> Iterator[Option]:
        if len(self.running) >= self.scenario.workers:
            return
        now = self.clock.now()
        for word in self.words:
            if word.left > 0 and word.due <= now:
                text = f"say {word.said.word} {word.said.version}"
                yield self.begin(text, functools.partial(self._say, word))
        yield from self.messages(lambda text: lambda: self.app.runner.work(read_work_message(text)))
        yield from self.timer()

    @override
    def moments(self) -> Iterator[datetime.datetime]:
        yield from (word.due for word in self.words if word.left > 0)

    # What else may happen

    @override
    def interferences(self) -> Iterator[Option]:
        """What somebody does by hand, at any moment after the endpoint is there."""
        if self.app.service.exists and self.clock.now() - self.started < _ACTS_UNTIL:
            for act in dict.fromkeys(self.outside):
                yield Option(Kind.FAULT, f"somebody acts: {act}", functools.partial(self._act, act))

    def _act(self, act: str) -> None:
        self.outside.remove(act)
        service = self.app.service
        if act == "delete endpoint":
            service.delete_endpoint()
        else:
            ready = [name for name in service.deployments if service.deployment_state(name) == "ready"]
            service.divide(Weights(((ready[0], 100),)) if ready else NOTHING)
        self.counts["acts"] += 1

    @override
    def repeats(self, invocation: Invocation) -> Iterator[Option]:
        if invocation.name == f"work {KEY}" and invocation.calls == 1:
            again = functools.partial(self.app.queue.send, work_message(KEY), 0)
            yield Option(Kind.FAULT, f"the message of {KEY} comes again", again)

    # Doing it

    def _say(self, word: Word) -> Invocation:
        word.left -= 1
        event = word.event or word.said.event(self.clock.now(), self.scenario.stage)
        word.event = event
        if word.said.word == "want":
            self.watch.wanted.add(word.said.version)

        def ended(invocation: Invocation) -> None:
            if invocation.dead or invocation.error:
                word.left += 1
                word.due = self.clock.now() + datetime.timedelta(seconds=10)
            else:
                self.watch.heard.add(word.said)
                word.due = self.clock.now() + _REPEATED

        name = f"say {word.said.word} {word.said.version}"
        return self.start(name, lambda: self.app.runner.deliver(KEY, event), ended)
