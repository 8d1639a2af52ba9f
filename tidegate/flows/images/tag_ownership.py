"""Who owns a tag in the healthy registry: the newest approved digest, by the order of pushes to staging.

One record for each tag, so that two images never write one tag at a time. Images claim the tag when they are pushed and ask
for it when they are approved; the answer goes back as TagSettled.

What the table below cannot say: the registry has no conditional write of a tag. A worker that was cut off for longer than its
lease may write an old digest late; so the tag is looked at once more, after any such worker must have ended, and put right.
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import Literal, assert_never, override

from tidegate.flows.base import After, CommandErrored, CommandRefused, Decision, Explanation, Flow, Listing, Tell
from tidegate.references import TagRef

NAME = "tag-ownership"

VERIFY_AFTER = 900
"""Seconds until a placed tag is looked at again: longer than any invocation may live (host.json, functionTimeout: 10 minutes)."""
MAX_REPAIRS = 3
"""How often a tag that somebody else moved is put right for one owner before it is left to people."""
REMEMBERED = 32
"""How many claims that were answered without a write are remembered."""

type Result = Literal["placed", "kept", "superseded", "taken", "errored"]
"""placed: read back after a write; kept: the image owned it already; taken: immutable, and names another digest."""


@dataclasses.dataclass(frozen=True, slots=True)
class Claimant:
    """An image that was pushed under the tag."""

    key: str
    """Its record."""
    digest: str
    order: str
    """Sorts pushes: time at the registry, then event id."""
    at: datetime.datetime
    """When it was pushed, or asked for."""
    movable: bool
    """Whether it may take the tag from another digest."""
    lock: bool
    """Whether the tag is locked once it names the digest."""


# Events -------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class TagPushed:
    """The tag was pushed to staging; the image is not approved (yet)."""

    target: TagRef
    claimant: Claimant


@dataclasses.dataclass(frozen=True, slots=True)
class TagApproved:
    """The image passed, is at the destination with its record, and wants the tag."""

    target: TagRef
    claimant: Claimant


@dataclasses.dataclass(frozen=True, slots=True)
class TagWritten:
    """The tag names the digest, read back."""

    attempt: int
    previous: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class TagRefused:
    """The tag is immutable and names another digest."""

    attempt: int
    digest: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class TagSeen:
    """What the tag named when it was looked at again; empty: nothing."""

    attempt: int
    digest: str
    at: datetime.datetime


type Event = TagPushed | TagApproved | TagWritten | TagRefused | TagSeen | CommandRefused | CommandErrored


@dataclasses.dataclass(frozen=True, slots=True)
class TagSettled:
    """For the image: what became of its claim."""

    tag: str
    order: str
    result: Result
    detail: str
    """The other digest, the reason, or the digest the tag named before."""
    at: datetime.datetime


# Commands -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class PlaceTag:
    """Make the tag name the digest and read it back."""

    target: TagRef
    digest: str
    movable: bool
    lock: bool
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class LookAtTag:
    """See what the tag names now."""

    target: TagRef
    attempt: int


type Command = PlaceTag | After[LookAtTag] | Tell[TagSettled]


# States -------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Unclaimed:
    """Nobody asked for the tag."""


@dataclasses.dataclass(frozen=True, slots=True)
class Owned:
    """No write is under way."""

    target: TagRef
    newest: Claimant
    """The newest push, approved or not."""
    owner: Claimant | None
    """Whom the tag names, as far as we wrote it."""
    attempt: int = 0
    """Writes so far; answers name theirs."""
    repairs: int = 0
    told: tuple[str, ...] = ()
    """Claims that were answered without a write, as order and record; the last ones."""


@dataclasses.dataclass(frozen=True, slots=True)
class Placing:
    """One write is under way; approved claimants wait for it."""

    target: TagRef
    newest: Claimant
    owner: Claimant | None
    placing: Claimant
    attempt: int
    waiting: tuple[Claimant, ...] = ()
    """More than one only where an image asks under two versions of its gate."""
    repairs: int = 0
    told: tuple[str, ...] = ()


type State = Unclaimed | Owned | Placing
type Step = Decision[State, Command]


def key(target: TagRef) -> str:
    """The record of a tag at the destination."""
    return f"{NAME}:{target}"


class TagOwnership(Flow[State, Event, Command]):
    """The flow."""

    name = NAME

    @override
    def initial(self) -> State:
        return Unclaimed()

    @override
    def decide(self, state: State, event: Event, /) -> Step:
        match event:
            case TagPushed(target, claimant):
                return _pushed(state, target, claimant)
            case TagApproved(target, claimant):
                return _approved(state, target, claimant)
            case TagWritten() | TagRefused() | CommandRefused() | CommandErrored():
                return _answered(state, event)
            case TagSeen():
                return _seen(state, event)
            case _:
                assert_never(event)

    @override
    def explain(self, event: Event, after: State, /) -> Explanation:
        match event:
            case TagPushed(claimant=claimant) | TagApproved(claimant=claimant):
                return Explanation("tidegate", f"{claimant.digest} at {claimant.order}")
            case TagRefused(digest=digest):
                return Explanation("tidegate", f"the tag names {digest}")
            case TagSeen(digest=digest):
                return Explanation("tidegate", f"the tag names {digest or 'nothing'}")
            case TagWritten(previous=previous):
                return Explanation("tidegate", f"the tag named {previous or 'nothing'} before")
            case CommandRefused(reason=reason) | CommandErrored(reason=reason):
                return Explanation("tidegate", reason)
            case _:
                assert_never(event)

    @override
    def listing(self, state: object, /) -> Listing | None:
        return None


def _pushed(state: State, target: TagRef, claimant: Claimant) -> Step:
    match state:
        case Unclaimed():
            return Decision(Owned(target, claimant, None))
        case Owned() | Placing() if claimant.order > state.newest.order:
            return _renew(state, claimant)
        case Owned() | Placing() if _is_late(state, claimant):
            return _superseded(state, (claimant,))
        case _:
            return Decision(state)


def _renew(state: Owned | Placing, newest: Claimant) -> Step:
    """A newer push: the claim that was the newest until now, and those that wait for a write, are told."""
    after = dataclasses.replace(state, newest=newest)
    waiting = after.waiting if isinstance(after, Placing) else ()
    overtaken = tuple(dict.fromkeys(each for each in (*waiting, state.newest) if _is_late(after, each)))
    if isinstance(after, Placing):
        after = dataclasses.replace(after, waiting=tuple(each for each in waiting if each not in overtaken))
    return _superseded(after, overtaken)


def _superseded(state: Owned | Placing, claimants: tuple[Claimant, ...]) -> Step:
    """Claims that a newer push has overtaken are told so, each once."""
    new = [each for each in claimants if _mark(each) not in state.told]
    told = tuple(_tell(each, state.target, "superseded", state.newest.digest, state.newest.at) for each in new)
    return Decision(_remember(state, *new), told)


def _approved(state: State, target: TagRef, claimant: Claimant) -> Step:
    pushed = _pushed(state, target, claimant)
    match pushed.state:
        case Owned() | Placing() as late if _is_late(late, claimant):
            return pushed
        case Owned(owner=Claimant(digest=digest) as owner) as owned if digest == claimant.digest:
            return _kept(owned, owner, claimant, pushed.commands)
        case Owned() as owned:
            placing = _placing(owned, claimant)
            return Decision(placing, (*pushed.commands, _place(placing)))
        case Placing() as placing if not _is_duplicate_of_owner(placing, claimant):
            return Decision(_wait(placing, claimant), pushed.commands)
        case _:
            return pushed


def _kept(state: Owned, owner: Claimant, claimant: Claimant, commands: tuple[Command, ...]) -> Step:
    """The owner asks again, with a newer push or under another version of its gate."""
    if claimant.order > owner.order:
        after: State = dataclasses.replace(state, owner=claimant)
    elif claimant.key == owner.key or _mark(claimant) in state.told:
        return Decision(state, commands)
    else:
        after = _remember(state, claimant)
    return Decision(after, (*commands, _tell(claimant, state.target, "kept", claimant.digest, claimant.at)))


def _wait(state: Placing, claimant: Claimant) -> Placing:
    """The claimant waits for the write under way, unless it is its own; one record waits once, with its newest push."""
    if _is_same(state.placing, claimant):
        return dataclasses.replace(state, placing=_later(state.placing, claimant))
    before = next((each for each in state.waiting if each.key == claimant.key), claimant)
    others = tuple(each for each in state.waiting if each.key != claimant.key)
    return dataclasses.replace(state, waiting=(*others, _later(before, claimant)))


def _answered(state: State, event: TagWritten | TagRefused | CommandRefused | CommandErrored) -> Step:
    if not isinstance(state, Placing) or event.attempt != state.attempt:
        return Decision(state)
    match event:
        case TagWritten(previous=previous):
            return _settled(state, state.placing, "placed", previous, event.at)
        case TagRefused(digest=digest):
            return _settled(state, state.owner, "taken", digest, event.at)
        case CommandRefused(reason=reason) | CommandErrored(reason=reason):
            return _settled(state, state.owner, "errored", reason, event.at)
        case _:
            assert_never(event)


def _settled(state: Placing, owner: Claimant | None, result: Result, detail: str, at: datetime.datetime) -> Step:
    """The write ended: answer the claimant, then place whoever waits, else look again later.

    The look is due after every write, failed ones too: whatever was written while this one was under way may come late.
    """
    told = _tell(state.placing, state.target, result, detail, at)
    rest = Owned(state.target, state.newest, owner, state.attempt, state.repairs, state.told)
    if state.waiting:
        following, *others = state.waiting
        after = dataclasses.replace(_placing(rest, following), waiting=tuple(others))
        return Decision(after, (told, _place(after)))
    look = (After(VERIFY_AFTER, LookAtTag(state.target, state.attempt)),) if owner is not None else ()
    return Decision(rest, (told, *look))


def _seen(state: State, event: TagSeen) -> Step:
    match state:
        case Owned(owner=Claimant(movable=True) as owner) if (
            event.attempt == state.attempt and event.digest != owner.digest and state.repairs < MAX_REPAIRS
        ):
            again = dataclasses.replace(_placing(state, owner), repairs=state.repairs + 1)
            return Decision(again, (_place(again),))
        case _:
            return Decision(state)


def _placing(state: Owned, claimant: Claimant) -> Placing:
    return Placing(state.target, state.newest, state.owner, claimant, state.attempt + 1, told=state.told)


def _place(state: Placing) -> PlaceTag:
    claimant = state.placing
    return PlaceTag(state.target, claimant.digest, claimant.movable, claimant.lock, state.attempt)


def _tell(claimant: Claimant, target: TagRef, result: Result, detail: str, at: datetime.datetime) -> Tell[TagSettled]:
    return Tell(claimant.key, TagSettled(target.tag, claimant.order, result, detail, at))


def _is_same(one: Claimant | None, other: Claimant) -> bool:
    return one is not None and (one.key, one.digest) == (other.key, other.digest)


def _is_late(state: Owned | Placing, claimant: Claimant) -> bool:
    """Whether a newer push overtook the claim before its image got the tag, or the write of it began."""
    if claimant.order >= state.newest.order or claimant.digest == state.newest.digest:
        return False
    match state:
        case Owned(owner=owner):
            return not _is_same(owner, claimant)
        case Placing(placing=placing):
            return not (_is_same(placing, claimant) or _is_duplicate_of_owner(state, claimant))


def _is_duplicate_of_owner(state: Placing, claimant: Claimant) -> bool:
    owner = state.owner
    return owner is not None and _is_same(owner, claimant) and claimant.order <= owner.order


def _later(one: Claimant, other: Claimant) -> Claimant:
    return one if one.order >= other.order else other


def _mark(claimant: Claimant) -> str:
    return f"{claimant.order} {claimant.key}"


def _remember(state: Owned | Placing, *claimants: Claimant) -> Owned | Placing:
    if not claimants:
        return state
    return dataclasses.replace(state, told=(*state.told, *map(_mark, claimants))[-REMEMBERED:])
