"""What an endpoint's flow tells deliveries, and what it publishes for other systems."""

from __future__ import annotations

import datetime
from typing import Literal

from tidegate.flows.base import Publish, Tell
from tidegate.flows.endpoints.endpoint_states import Ending, EndpointBook, Outcome, Rollout, Wish
from tidegate.flows.endpoints.rollout_messages import ChampionTold, StageEnded
from tidegate.flows.models.model_facts import Candidate, Measured
from tidegate.flows.models.record_keys import endpoint_key

type Told = Tell[ChampionTold | StageEnded]
type Kind = Literal["StageServing", "RolledBack", "RolloutPaused", "DeliveryErrored"]


def told(wish: Wish | Ending, outcome: Outcome, reason: str, measured: Measured | None, at: datetime.datetime) -> Told:
    """The end of a delivery's wish."""
    ended = StageEnded(wish.stage.name, wish.candidate.name, outcome, reason, measured, at)
    return Tell(wish.delivery, ended)


def published(
    kind: Kind, book: EndpointBook, candidate: Candidate, stage: str, reason: str, attempt: int, at: datetime.datetime
) -> Publish:
    """An outcome; the attempt makes its id, since none is used twice in a record."""
    data = (
        ("model", candidate.model.name),
        ("version", candidate.model.version),
        ("workspace", candidate.model.workspace),
        ("stage", stage),
        ("endpoint", book.target.endpoint),
        ("reason", reason),
    )
    identity = f"{endpoint_key(book.target)}/{kind}/{candidate.name}/{attempt}"
    return Publish(f"Tidegate.{kind}", candidate.name, at, data, identity)


def of_endpoint(book: EndpointBook, reason: str, mark: str, at: datetime.datetime) -> Publish:
    """Something is wrong with the endpoint itself, and people should look. `mark` tells two of them apart."""
    data = (("stage", ""), ("endpoint", book.target.endpoint), ("reason", reason))
    identity = f"{endpoint_key(book.target)}/DeliveryErrored/{mark}"
    return Publish("Tidegate.DeliveryErrored", book.target.endpoint, at, data, identity)


def of_rollout(
    kind: Kind, book: EndpointBook, course: Rollout, reason: str, attempt: int, at: datetime.datetime
) -> Publish:
    """An outcome of the rollout under way."""
    return published(kind, book, course.wish.candidate, course.wish.stage.name, reason, attempt, at)
