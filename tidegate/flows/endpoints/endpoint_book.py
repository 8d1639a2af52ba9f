"""What is read from an endpoint's book, and how it changes; every function gives another book, none changes one."""

from __future__ import annotations

import dataclasses
import datetime

from tidegate.flows.endpoints.endpoint_states import EndpointBook, EndpointHold, Served, Wish
from tidegate.flows.models.model_facts import Candidate, Weights
from tidegate.flows.models.model_gate import SHARES_TRAFFIC, Stage, TrafficStep

FORMER = 5
"""Earlier champions that are remembered."""
BLOCKED = 200
"""Rejected versions that are remembered; which one is forgotten after that is announced."""
HEARD = 64
"""Wishes that are remembered; a message is repeated within a day."""


def replaced(book: EndpointBook, **changes: object) -> EndpointBook:
    """The book with other values; typed at the fields, not here."""
    return dataclasses.replace(book, **changes)  # type: ignore[arg-type]


# Who serves ----------------------------------------------------------------------------------------------------------


def last_good(book: EndpointBook, besides: tuple[str, ...] = ()) -> Served | None:
    """The newest earlier champion that nobody has rejected."""
    out = (*book.blocked, *besides)
    return next((served for served in book.former if served.candidate.name not in out), None)


def crowned(book: EndpointBook, champion: Served) -> EndpointBook:
    """A new champion; the one before becomes the first to go back to."""
    before = (book.champion,) if book.champion else ()
    former = tuple(each for each in (*before, *book.former) if each.candidate.name != champion.candidate.name)
    good = tuple(each for each in former if each.candidate.name not in book.blocked)
    return replaced(book, champion=champion, former=good[:FORMER], repairs=0, fault="")


def gone_back(book: EndpointBook, to: Served | None) -> EndpointBook:
    """An earlier champion serves again, or nobody; the one that had to go is nothing to go back to."""
    name = to.candidate.name if to else ""
    former = tuple(each for each in book.former if each.candidate.name not in (name, *book.blocked))
    return replaced(book, champion=to, former=former)


def is_blocked(book: EndpointBook, served: Served | None) -> bool:
    return served is not None and served.candidate.name in book.blocked


# What is remembered --------------------------------------------------------------------------------------------------


def blocked(book: EndpointBook, candidate: str) -> tuple[EndpointBook, str]:
    """The book with one more rejected version, and the version that is forgotten for it; empty: none is."""
    names = (*book.blocked, candidate)
    forgotten = names[0] if len(names) > BLOCKED else ""
    former = tuple(each for each in book.former if each.candidate.name != candidate)
    return replaced(book, blocked=names[-BLOCKED:], former=former), forgotten


def mark(wish: Wish) -> str:
    """Tells two wishes of one delivery apart."""
    return f"{wish.at.isoformat()} {wish.delivery}"


def heard(book: EndpointBook, wish: Wish) -> EndpointBook:
    return replaced(book, heard=(*book.heard, mark(wish))[-HEARD:])


def held(book: EndpointBook, who: str, why: str, at: datetime.datetime, *, rollback: bool = False) -> EndpointBook:
    """A hold that is there stays, with its reason; that a person rolled back is noted on it."""
    hold = book.hold or EndpointHold(who, why, at, rollback)
    return replaced(book, hold=dataclasses.replace(hold, rollback=hold.rollback or rollback))


def released(book: EndpointBook, at: datetime.datetime) -> EndpointBook:
    return replaced(book, hold=None, released=at, repairs=0, fault="")


# Candidates and traffic ----------------------------------------------------------------------------------------------


def is_older(candidate: Candidate, other: Candidate | None) -> bool:
    """Whether a newer version of the model is there (invariant C5); versions of different models have no order."""
    return other is not None and other.model.name == candidate.model.name and candidate.order < other.order


def same_parts(one: Candidate, other: Candidate) -> bool:
    """Whether deployments of the two are made of the same."""
    first, second = (
        (each.asset, each.sha256, each.image, each.script, each.environment, each.model) for each in (one, other)
    )
    return first == second


def planned(stage: Stage, champion: Served | None) -> tuple[TrafficStep, ...]:
    """The steps of a rollout: all at once where there is nobody to compare with, or the target cannot divide traffic."""
    whole = TrafficStep(100)
    if champion is None or stage.target.kind not in SHARES_TRAFFIC:
        return (whole,)
    shares = tuple(step for step in stage.traffic if step.mirror or step.percent < 100)
    return (*shares, whole)


def divided(step: TrafficStep, champion: Served | None, challenger: str) -> Weights:
    """What a step asks for."""
    if champion is None or (step.percent == 100 and not step.mirror):
        return Weights(((challenger, 100),))
    if step.mirror:
        return Weights(((champion.deployment, 100),), ((challenger, step.percent),))
    return Weights(((champion.deployment, 100 - step.percent), (challenger, step.percent)))


def serving(served: Served | None) -> Weights:
    """All of the traffic to one, or none to anybody."""
    return Weights(((served.deployment, 100),)) if served else Weights(())


def is_same(one: Weights, other: Weights) -> bool:
    """Whether two divisions are one, in whatever order and with zeros or without."""
    first, second = ((_shares(each.live), _shares(each.mirror)) for each in (one, other))
    return first == second


def shown(weights: Weights) -> str:
    """As people read it."""
    live = ", ".join(f"{name} {percent} %" for name, percent in weights.live if percent) or "nobody"
    mirror = ", ".join(f"{name} {percent} %" for name, percent in weights.mirror if percent)
    return f"{live}, copied to {mirror}" if mirror else live


def _shares(weights: tuple[tuple[str, int], ...]) -> dict[str, int]:
    return {name: percent for name, percent in weights if percent}
