"""A delivery with a made-up world around it that answers every command in every way it may be answered, in every order.

What the grid cannot see is seen here: whether a state that is no end still has something to wait for.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.flows.delivery_samples import (
    ALICE,
    ASSET,
    BOB,
    CHAMPION,
    FACTS,
    LATER,
    NAME,
    NOW,
    OTHER_SHA,
    SHA,
    WORSE,
    approve,
    reject,
    requested,
)
from tidegate.flows.base import After, CommandErrored, CommandRefused, Publish, Tell
from tidegate.flows.deliveries import delivery_messages as dm
from tidegate.flows.deliveries import delivery_states as st
from tidegate.flows.endpoints.rollout_messages import ChampionAsked, ChampionTold, RolloutWanted, StageEnded
from tidegate.flows.reminders import Remind, Reminded

type Decide = Callable[[Any, Any], Any]

_OUTCOMES = ("serving", "failed", "rolled-back", "superseded", "rejected", "errored")


@dataclass(frozen=True, slots=True)
class Node:
    """A state of the flow, what is under way, and what people have yet to say."""

    state: Any
    outbox: tuple[Any, ...]
    coming: tuple[str, ...]
    """Words of people, by name."""


def explore(decide: Decide, first: Node, limit: int = 60_000) -> Iterator[Node]:
    """Every node that can be reached. AssertionError: there are more than expected."""
    seen, todo = {first}, [first]
    while todo:
        node = todo.pop()
        yield node
        for after in _next(decide, node):
            if after not in seen:
                seen.add(after)
                todo.append(after)
        assert len(seen) < limit, f"more than {limit} nodes"


def _next(decide: Decide, node: Node) -> Iterator[Node]:
    for word in node.coming:
        rest = tuple(each for each in node.coming if each != word)
        yield _decided(decide, replace(node, coming=rest), _word(word, node.state))
    for place, command in enumerate(node.outbox):
        rest_of = node.outbox[:place] + node.outbox[place + 1 :]
        for event in outcomes(command):
            done = replace(node, outbox=rest_of)
            yield done if event is None else _decided(decide, done, event)


def _word(name: str, state: Any) -> dm.Event:
    """What a person says who sees the state."""
    evidence, at = getattr(state, "evidence", ""), max(LATER, getattr(state, "since", LATER))
    match name:
        case "alice":
            return approve(ALICE, evidence=evidence, at=at)
        case "bob":
            return approve(BOB, evidence=evidence, at=at)
        case "no":
            return reject()
        case _:
            return requested(name)


def _decided(decide: Decide, node: Node, event: Any) -> Node:
    step = decide(node.state, event)
    commands = [command.command if isinstance(command, After) else command for command in step.commands]
    kept = [each for each in commands if not isinstance(each, Publish)]
    alive = [each for each in (*node.outbox, *kept) if _is_alive(each, step.state)]
    return Node(step.state, tuple(sorted(alive, key=repr)), node.coming)


def _is_alive(command: Any, state: Any) -> bool:
    """A reminder to an earlier attempt only makes the world larger: the grid shows that it changes nothing."""
    return not isinstance(command, Remind) or command.attempt == getattr(state, "attempt", 0)


def outcomes(command: Any) -> Sequence[Any]:
    """Every way a command may be answered; None: it is done, and says nothing."""
    match command:
        case dm.DescribeModel(attempt=n):
            return [
                dm.ModelDescribed(n, FACTS, LATER),
                dm.ModelDescribed(n, WORSE, LATER),
                CommandRefused(n, "", LATER),
            ]
        case dm.PlaceModel(attempt=n, check=check):
            placed = [dm.ModelPlaced(n, ASSET, sha256, _at(n)) for sha256 in (SHA, OTHER_SHA)]
            return [dm.ModelPlacing(n, check, _at(n, check)), *placed]
        case dm.StartRelease(attempt=n):
            return [dm.ReleaseStarted(n, "run-9", _at(n)), CommandRefused(n, "", _at(n))]
        case dm.CheckRelease(attempt=n, check=check):
            ends = [dm.ReleaseSeen(n, check, status, "", _at(n)) for status in ("succeeded", "failed")]
            return [dm.ReleaseSeen(n, check, "running", "", _at(n, check)), *ends]
        case dm.KeepRecord(attempt=n):
            return [dm.RecordKept(n, "https://e", _at(n)), CommandErrored(n, "", _at(n))]
        case Remind(attempt=n):
            return [Reminded(n, _at(n, 3))]
        case Tell(event=event):
            return _told(event)
        case _:
            raise TypeError(command)


def _told(event: object) -> Sequence[Any]:
    match event:
        case ChampionAsked(attempt=n):
            return [ChampionTold(n, CHAMPION, LATER)]
        case RolloutWanted(stage=stage, at=at):
            return [StageEnded(stage.name, NAME, outcome, "", None, at) for outcome in _OUTCOMES]  # type: ignore[arg-type]  # they are its outcomes
        case _:
            return [None]


def _at(attempt: int, check: int = 1) -> datetime.datetime:
    """Time goes on with the attempts; the second look of one is beyond every deadline, and only the first three are frozen."""
    begun = LATER if attempt <= 3 else NOW + datetime.timedelta(days=40 * attempt, hours=5)
    return begun + datetime.timedelta(days=10 * (check - 1))


def hopeless(nodes: Iterable[Node]) -> list[Node]:
    """Deliveries at no end that nothing under way can move."""
    return [node for node in nodes if _is_hopeless(node)]


def _is_hopeless(node: Node) -> bool:
    state = node.state
    if isinstance(state, st.Unregistered | st.ModelIgnored | st.Delivered | st.ModelRejected | st.DeliveryFailed):
        return False
    if isinstance(state, st.DeliveryRolledBack | st.DeliverySuperseded | st.DeliveryErrored):
        return False
    return not any(_may_move(command, state) for command in node.outbox)


def _may_move(command: Any, state: Any) -> bool:
    if isinstance(command, Tell) and isinstance(command.event, RolloutWanted):
        return isinstance(state, st.RollingOut) and command.event.at == state.since
    asked = command.event if isinstance(command, Tell) else command
    return getattr(asked, "attempt", 0) == int(state.attempt)
