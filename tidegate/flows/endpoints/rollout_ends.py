"""How rollouts begin and end, and how an endpoint goes back to who was good before.

start -> ... -> complete | fail (no traffic was touched) | leave -> way back -> returned | cannot -> stuck
settle: what comes next when nothing is under way any more
"""

from __future__ import annotations

import dataclasses
import datetime

from tidegate.flows.base import Decision
from tidegate.flows.endpoints import endpoint_book as books
from tidegate.flows.endpoints import rollout_moves as moves
from tidegate.flows.endpoints import rollout_news as news
from tidegate.flows.endpoints.endpoint_states import (
    Ending,
    EndpointBook,
    Leaving,
    Outcome,
    Retreat,
    Rollout,
    Served,
    WayBack,
    Wish,
)
from tidegate.flows.endpoints.rollout_analysis import too_large
from tidegate.flows.endpoints.rollout_messages import Command
from tidegate.flows.endpoints.rollout_moves import Step
from tidegate.flows.endpoints.rollout_timing import RESTARTS
from tidegate.flows.models.deployment_name import deployment_name

US = "tidegate"


def settle(
    book: EndpointBook, attempt: int, at: datetime.datetime, commands: tuple[Command, ...] = (), looks: int = 0
) -> Step:
    """Nothing is under way: a champion that has to go goes, else the next wish begins, unless the endpoint is held."""
    unused = tuple(each for each in book.leftover if book.waiting is None or each != _deployment(book.waiting))
    if unused:
        kept = tuple(each for each in book.leftover if each not in unused)
        step = moves.remove(books.replaced(book, leftover=kept), attempt + 1, unused)
    elif book.retreat is not None:
        step = undo(books.replaced(book, retreat=None), book.retreat, attempt, at)
    elif book.waiting is not None and book.hold is None:
        step = start(books.replaced(book, waiting=None), book.waiting, attempt, at)
    else:
        step = moves.settled(book, attempt + 1, looks)
    return _with(commands, step)


def clear(
    book: EndpointBook, deployments: tuple[str, ...], attempt: int, at: datetime.datetime, commands: tuple[Command, ...]
) -> Step:
    """Delete what nobody needs any more, then see what comes next."""
    if not deployments:
        return settle(book, attempt, at, commands)
    return _with(commands, moves.remove(book, attempt + 1, deployments))


# Rollouts ------------------------------------------------------------------------------------------------------------


def start(book: EndpointBook, wish: Wish, attempt: int, at: datetime.datetime) -> Step:
    """Begin a rollout, unless it is known already that the model will not fit."""
    candidate = wish.candidate
    reason = too_large(wish.stage.fit, candidate.size)
    if reason:
        return settle(book, attempt, at, (news.told(wish, "failed", reason, None, at),))
    name = _deployment(wish)
    others = tuple(each for each in book.leftover if each != name)
    return moves.begun(
        books.replaced(book, repairs=0, removals=0, leftover=others), Rollout(wish, name, ()), attempt + 1, at
    )


def complete(book: EndpointBook, course: Rollout, attempt: int, at: datetime.datetime) -> Step:
    """The challenger is the champion; the deployment before it goes (invariant C4)."""
    wish, before = course.wish, book.champion
    after = books.crowned(book, Served(wish.candidate, course.deployment, wish.stage, wish.delivery))
    told = news.told(wish, "serving", "", course.measured, at)
    published = news.of_rollout("StageServing", book, course, "", attempt, at)
    return clear(after, (before.deployment,) if before else (), attempt, at, (told, published))


def fail(
    book: EndpointBook, course: Rollout, outcome: Outcome, reason: str, attempt: int, at: datetime.datetime
) -> Step:
    """The challenger ends without having had any traffic, which is as it was (invariant C9)."""
    told = news.told(course.wish, outcome, reason, course.measured, at)
    return clear(book, (course.deployment,), attempt, at, (told,))


def leave(book: EndpointBook, course: Rollout, leaving: Leaving, attempt: int, at: datetime.datetime) -> Step:
    """Give the rollout up: what had traffic is rolled back, what had none just ends."""
    is_rejected = books.is_blocked(book, book.champion)
    if leaving.again:
        book, commands, remove = _requeued(book, course, at)
    else:
        commands, remove = (), (course.deployment,)
    if not course.is_live and not is_rejected and not leaving.again:
        return fail(book, course, leaving.outcome, leaving.reason, attempt, at)
    endings: tuple[Ending, ...] = ()
    if not leaving.again:
        wish = course.wish
        ending = Ending(wish.stage, wish.candidate, wish.delivery, leaving.outcome, leaving.reason, course.measured)
        endings = (ending,)
    to = book.champion
    if is_rejected and to is not None:
        endings = (*endings, _ending(to, "rejected", leaving.reason))
        remove = (*remove, to.deployment)
        to = books.last_good(book)
    return _with(commands, way_back(book, WayBack(to, remove, endings, leaving.reason), attempt, at))


def anew(book: EndpointBook, course: Rollout, reason: str, attempt: int, at: datetime.datetime) -> Step:
    """Somebody changed the endpoint under the rollout: put the champion back, then begin again; not for ever."""
    if course.wish.restarts >= RESTARTS:
        return leave(book, course, Leaving("errored", f"begun {RESTARTS + 1} times; {reason}"), attempt, at)
    if book.champion is None:
        wish = dataclasses.replace(course.wish, restarts=course.wish.restarts + 1)
        return start(book, wish, attempt, at)
    return leave(book, course, Leaving("errored", reason, again=True), attempt, at)


def _requeued(
    book: EndpointBook, course: Rollout, at: datetime.datetime
) -> tuple[EndpointBook, tuple[Command, ...], tuple[str, ...]]:
    """The candidate waits to be rolled out anew, unless a newer one waits already; its deployment then goes."""
    wish, waiting = course.wish, book.waiting
    if waiting is not None:
        told = news.told(wish, "superseded", f"{waiting.candidate.name} is newer", course.measured, at)
        return book, (told,), (course.deployment,)
    again = dataclasses.replace(wish, restarts=wish.restarts + 1)
    return books.replaced(book, waiting=again, leftover=(*book.leftover, course.deployment)), (), ()


# The way back --------------------------------------------------------------------------------------------------------


def way_back(book: EndpointBook, course: WayBack, attempt: int, at: datetime.datetime) -> Step:
    """See whether the version to go back to is there; the traffic follows."""
    if course.to is None:
        return moves.shift(book, course, attempt + 1, at, books.serving(None))
    return moves.locate(book, course, attempt + 1, at)


def undo(book: EndpointBook, retreat: Retreat, attempt: int, at: datetime.datetime) -> Step:
    """The champion has to go, for the last good version."""
    champion, to = book.champion, books.last_good(book)
    if champion is None or (to is None and retreat.outcome != "rejected"):
        return settle(book, attempt, at)
    ending = _ending(champion, retreat.outcome, retreat.reason)
    return way_back(book, WayBack(to, (champion.deployment,), (ending,), retreat.reason), attempt, at)


def restore(book: EndpointBook, reason: str, attempt: int, at: datetime.datetime) -> Step:
    """The endpoint does not serve what it should: put it right."""
    after = books.replaced(book, repairs=book.repairs + 1)
    return way_back(after, WayBack(book.champion, (), (), reason), attempt, at)


def returned(book: EndpointBook, course: WayBack, attempt: int, at: datetime.datetime) -> Step:
    """The weights say that the last good version serves."""
    after = books.gone_back(book, course.to)
    if books.is_blocked(after, course.to):  # rejected on the way
        after = books.replaced(after, retreat=Retreat("rejected", f"{_name(course.to)} was rejected meanwhile"))
    commands: list[Command] = []
    for ending in course.endings:
        outcome: Outcome = "rejected" if ending.candidate.name in book.blocked else ending.outcome
        reason = f"{ending.reason}{_to_whom(course)}"
        commands.append(news.told(ending, outcome, reason, ending.measured, at))
        commands.append(news.published("RolledBack", book, ending.candidate, ending.stage.name, reason, attempt, at))
    return clear(after, course.remove, attempt, at, tuple(commands))


def cannot(book: EndpointBook, course: WayBack, reason: str, attempt: int, at: datetime.datetime) -> Step:
    """A version cannot be brought back: an earlier one is tried if something has to go; else people have to look."""
    tried = (*course.tried, _name(course.to))
    happened = f"; {_name(course.to)} could not be put back: {reason}"
    why = f"{course.reason}{happened}"
    earlier = books.last_good(book, tried) if course.endings and course.to is not None else None
    if earlier is None:
        return stuck(book, course, why, attempt, at)
    endings = tuple(dataclasses.replace(each, reason=f"{each.reason}{happened}") for each in course.endings)
    return way_back(book, WayBack(earlier, course.remove, endings, why, tried=tried), attempt, at)


def stuck(book: EndpointBook, course: WayBack, reason: str, attempt: int, at: datetime.datetime) -> Step:
    """Nothing more is tried: deliveries are told, the endpoint is held, and what serves is left to people."""
    ended = tuple(news.told(each, "errored", reason, each.measured, at) for each in course.endings)
    waiting = (news.told(book.waiting, "errored", reason, None, at),) if book.waiting else ()
    after = books.held(books.replaced(book, waiting=None, retreat=None, fault=reason), US, reason, at)
    step = moves.settled(after, attempt + 1)
    return _with((*ended, *waiting, news.of_endpoint(book, reason, f"{attempt}", at)), step)


def _ending(served: Served, outcome: Outcome, reason: str) -> Ending:
    return Ending(served.stage, served.candidate, served.delivery, outcome, reason)


def _deployment(wish: Wish) -> str:
    return deployment_name(wish.candidate.model.name, wish.candidate.model.version)


def _name(served: Served | None) -> str:
    return served.candidate.name if served else "nobody"


def _to_whom(course: WayBack) -> str:
    if course.to is None:
        return "; nothing serves, since no earlier version was good"
    again = ", which was gone and was deployed again" if course.made else ""
    return f"; {_name(course.to)} serves again{again}"


def _with(commands: tuple[Command, ...], step: Step) -> Step:
    return Decision(step.state, (*commands, *step.commands))
