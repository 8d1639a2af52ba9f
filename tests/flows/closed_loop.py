"""Each flow with a made-up world around it that answers every command in every way it may be answered, in every order.

What the grid cannot see is seen here: whether a state that is no end still has something to wait for.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tests.flows.samples import FACTS, LATER, NOW, image
from tidegate.flows.base import After, CommandErrored, CommandRefused, Publish, Tell
from tidegate.flows.images import image_messages as im
from tidegate.flows.images import image_states as st
from tidegate.flows.images import tag_ownership as own

ENDS = (st.Promoted, st.Rejected, st.Superseded, st.Ignored, st.Errored)
_CHART = dataclasses.replace(FACTS, kind="chart")
_FOREIGN = dataclasses.replace(FACTS, foreign_layers=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A state of the flow, what is under way, and what has yet to come in."""

    state: Any
    outbox: tuple[Any, ...]
    coming: tuple[Any, ...]
    told: frozenset[tuple[str, str]] = frozenset()
    """Claims (record, order) of the tag flow that have their answer."""
    heard: frozenset[tuple[str, str]] = frozenset()
    """Claims (record, order) that asked for the tag."""


type Decide = Callable[[Any, Any], Any]
type Outcomes = Callable[[Any], Sequence[Any]]


def explore(decide: Decide, first: Node, outcomes: Outcomes, limit: int = 60_000) -> Iterator[Node]:
    """Every node that can be reached. AssertionError: there are more than expected."""
    seen = {first}
    todo = [first]
    while todo:
        node = todo.pop()
        yield node
        for after in _next(decide, node, outcomes):
            if after not in seen:
                seen.add(after)
                todo.append(after)
        assert len(seen) < limit, f"more than {limit} nodes"


def _next(decide: Decide, node: Node, outcomes: Outcomes) -> Iterator[Node]:
    for place, event in enumerate(node.coming):
        rest = node.coming[:place] + node.coming[place + 1 :]
        yield _decided(decide, dataclasses.replace(node, coming=rest), event)
    for place, command in enumerate(node.outbox):
        rest = node.outbox[:place] + node.outbox[place + 1 :]
        for event in outcomes(command):
            done = dataclasses.replace(node, outbox=rest)
            yield done if event is None else _decided(decide, done, event)


def _decided(decide: Decide, node: Node, event: Any) -> Node:
    step = decide(node.state, event)
    commands = [command.command if isinstance(command, After) else command for command in step.commands]
    told = {(each.key, each.event.order) for each in commands if _is_answer_to_image(each)}
    heard = {(event.claimant.key, event.claimant.order)} if isinstance(event, own.TagApproved) else set()
    kept = [
        each for each in commands if not isinstance(each, Publish | im.StopImageTest) and not _is_answer_to_image(each)
    ]
    outbox = tuple(sorted((*node.outbox, *kept), key=repr))
    return Node(step.state, outbox, node.coming, node.told | told, node.heard | heard)


def _is_answer_to_image(command: Any) -> bool:
    return isinstance(command, Tell) and isinstance(command.event, own.TagSettled)


def image_outcomes(command: Any) -> Sequence[Any]:
    """Every way a command of image promotion may be answered; None: it is done, and says nothing."""
    match command:
        case im.InspectImage() | im.StartImageTest() | im.CheckImageTest():
            return _test_outcomes(command)
        case im.ImportImage() | im.CheckImport():
            return _import_outcomes(command)
        case Tell():
            return _tag_answers(command)
        case _:
            return _last_steps(command)


def _test_outcomes(command: im.InspectImage | im.StartImageTest | im.CheckImageTest) -> Sequence[Any]:
    match command:
        case im.InspectImage(attempt=n):
            facts = [im.ImageInspected(n, each, LATER) for each in (FACTS, _CHART, _FOREIGN)]
            return [*facts, CommandRefused(n, "", LATER)]
        case im.StartImageTest(attempt=n):
            return [im.ImageTestStarted(n, "run-1", LATER), CommandErrored(n, "", LATER)]
        case im.CheckImageTest(attempt=n, check=check):
            at = _at(check, n)
            ends = [im.ImageTestPassed(n, "", "", LATER), im.ImageTestFailed(n, "", "", "", LATER)]
            return [im.ImageTestRunning(n, check, at), *ends, im.ImageTestErrored(n, "", LATER)]


def _import_outcomes(command: im.ImportImage | im.CheckImport) -> Sequence[Any]:
    match command:
        case im.ImportImage(attempt=n):
            ends = [im.ImportStarted(n, "import-1", LATER), CommandErrored(n, "", LATER)]
            return [im.ImageImported(n, already=True, at=LATER), *ends]
        case im.CheckImport(attempt=n, check=check):
            at = _at(check, n)
            ends = [im.ImageImported(n, already=False, at=LATER), im.ImportFailed(n, "", LATER)]
            return [im.ImportRunning(n, check, at), *ends]


def _last_steps(command: object) -> Sequence[Any]:
    match command:
        case im.CopyReferrers(attempt=n):
            return [im.ReferrersCopied(n, 0, (), LATER), im.ReferrersCopied(n, 1, ("application/sig",), LATER)]
        case im.AttachRecord(attempt=n):
            return [im.RecordAttached(n, "sha256:" + "f" * 64, LATER), CommandErrored(n, "", LATER)]
        case im.LockManifest(attempt=n):
            return [im.ManifestLocked(n, LATER), CommandRefused(n, "", LATER)]
        case _:
            raise TypeError(command)


def _tag_answers(command: Tell[Any]) -> Sequence[Any]:
    match command:
        case Tell(event=own.TagApproved(target=target, claimant=claimant)):
            results: tuple[own.Result, ...] = ("placed", "superseded", "taken", "errored")
            return [own.TagSettled(target.tag, claimant.order, result, "", LATER) for result in results]
        case Tell(event=own.TagPushed(target=target, claimant=claimant)):
            return [None, own.TagSettled(target.tag, claimant.order, "superseded", "", LATER)]
        case _:
            raise TypeError(command)


def _at(check: int, attempt: int) -> datetime.datetime:
    """When a look that found nothing took place: the second one is beyond every deadline of its attempt."""
    return LATER if check < 2 else NOW + datetime.timedelta(days=attempt)


def tag_outcomes(command: Any) -> Sequence[Any]:
    """Every way a command of tag ownership may be answered."""
    match command:
        case own.PlaceTag(attempt=n, digest=digest, movable=movable):
            placed = [own.TagWritten(n, previous, LATER) for previous in ("", digest)]
            refused = [] if movable else [own.TagRefused(n, image("f").digest, LATER)]
            return [*placed, *refused, CommandErrored(n, "", LATER)]
        case own.LookAtTag(attempt=n):
            return [own.TagSeen(n, digest, LATER) for digest in (image("a").digest, image("b").digest)]
        case _:
            raise TypeError(command)


def hopeless_images(nodes: Iterable[Node]) -> list[Node]:
    """Images that are at no end while nothing is under way that could move them, or whose tag nobody is asked for."""
    return [node for node in nodes if not isinstance(node.state, st.Unseen) and _is_hopeless(node)]


def _is_hopeless(node: Node) -> bool:
    state = node.state
    asked = {(each.event.target.tag, each.event.claimant.order) for each in node.outbox if _asks_for_tag(each)}
    open_claims = {(claim.tag, claim.order) for claim in state.work.claims if claim.status == "wanted"}
    match state:
        case st.Tagging():
            return not open_claims or not open_claims <= asked
        case st.Locking() | st.Promoted() if not open_claims <= asked:
            return True
        case _ if isinstance(state, ENDS):
            return False
        case _:
            return not any(getattr(each, "attempt", 0) == state.attempt for each in node.outbox)


def _asks_for_tag(command: Any) -> bool:
    return isinstance(command, Tell) and isinstance(command.event, own.TagApproved)


def unanswered_claims(nodes: Iterable[Node]) -> list[Node]:
    """Tags on which no write is under way while an image that asked for them was not told what became of it."""
    return [
        node
        for node in nodes
        if not any(isinstance(each, own.PlaceTag) for each in node.outbox) and not _heard_are_told(node)
    ]


def older_over_newer(nodes: Iterable[Node]) -> list[Node]:
    """Tags that go from a newer push to an older one, other than to the image of the newest."""
    return [node for node in nodes if isinstance(node.state, own.Placing) and _goes_back(node.state)]


def _goes_back(state: own.Placing) -> bool:
    is_older = state.owner is not None and state.placing.order < state.owner.order
    return is_older and state.placing.digest != state.newest.digest


def _heard_are_told(node: Node) -> bool:
    return all(any(key == k and order <= o for k, o in node.told) for key, order in node.heard)


def unwatched_owners(nodes: Iterable[Node]) -> list[Node]:
    """Tags that we wrote and nobody will look at again, although a write was under way since the last look."""
    return [
        node
        for node in nodes
        if isinstance(node.state, own.Owned) and node.state.owner and node.state.attempt and not _is_looked_at(node)
    ]


def _is_looked_at(node: Node) -> bool:
    return any(isinstance(each, own.LookAtTag) and each.attempt == node.state.attempt for each in node.outbox)
