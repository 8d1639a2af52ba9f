"""What is remembered of an endpoint (its book), what is under way there (a rollout, or the way back), and how far it is."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Literal

from tidegate.flows.models.model_facts import Candidate, Measured, Weights
from tidegate.flows.models.model_gate import Stage, Target, TrafficStep

type Outcome = Literal["serving", "failed", "rolled-back", "superseded", "rejected", "errored"]
"""As `StageEnded` has them."""

# The book ------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Served:
    """A version that serves, or served and was good."""

    candidate: Candidate
    deployment: str
    stage: Stage
    """The one it came with: how it is deployed again."""
    delivery: str
    """Key of the record that brought it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wish:
    """A delivery wants its candidate to serve."""

    stage: Stage
    candidate: Candidate
    delivery: str
    at: datetime.datetime
    restarts: int = 0
    """How often its rollout began anew because the endpoint had been changed under it."""


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointHold:
    """Nothing begins, and no traffic moves, until somebody releases it."""

    who: str
    why: str
    at: datetime.datetime
    rollback: bool = False
    """Whether it came with a rollback that a person asked for."""


@dataclasses.dataclass(frozen=True, slots=True)
class Retreat:
    """The champion has to go, as soon as what is under way has ended."""

    outcome: Outcome
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointBook:
    """What outlasts a rollout."""

    target: Target
    champion: Served | None = None
    """Who serves, once its soak is over; until then the one before."""
    former: tuple[Served, ...] = ()
    """Earlier champions that were good, newest first."""
    waiting: Wish | None = None
    hold: EndpointHold | None = None
    blocked: tuple[str, ...] = ()
    """Names of rejected versions, oldest first."""
    heard: tuple[str, ...] = ()
    """Wishes that were heard, as time and delivery; the last ones: one that comes twice changes nothing."""
    retreat: Retreat | None = None
    released: datetime.datetime | None = None
    """When the last release was asked for: what was held or released before it, and comes late, changes nothing."""
    returned: datetime.datetime | None = None
    """When the last rollback was asked for; as above."""
    repairs: int = 0
    """How often what serves was put right since the last rollout began."""
    leftover: tuple[str, ...] = ()
    """Deployments of rollouts that are to begin anew; they go if that never happens."""
    fault: str = ""
    """What people should look at; empty: nothing."""
    going: tuple[str, ...] = ()
    """Deployments whose deletion the service has taken, and that nobody has seen gone."""
    removals: int = 0
    """How often the deletion of what was still there was asked for again since the last rollout began."""


# What is under way ---------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Leaving:
    """The rollout is given up, once the service has answered the change that is under way."""

    outcome: Outcome
    reason: str
    again: bool = False
    """Whether it is no fault of the candidate's, which then waits to be rolled out anew."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rollout:
    """From the champion to a challenger."""

    wish: Wish
    deployment: str
    steps: tuple[TrafficStep, ...]
    step: int = -1
    """The step that was asked for last; -1: none, so traffic is as it was."""
    measured: Measured | None = None
    smokes: int = 0
    """Smoke tests that failed."""
    repairs: int = 0
    leaving: Leaving | None = None

    @property
    def is_live(self) -> bool:
        """Whether any traffic, mirrored or not, was asked for."""
        return self.step >= 0

    @property
    def is_last(self) -> bool:
        """Whether all of the traffic was asked for."""
        return self.step == len(self.steps) - 1


@dataclasses.dataclass(frozen=True, slots=True)
class Ending:
    """What a delivery will be told once the way back is gone."""

    stage: Stage
    candidate: Candidate
    delivery: str
    outcome: Outcome
    reason: str
    measured: Measured | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class WayBack:
    """All of the traffic goes to a version that was good before, which is deployed again if it is gone."""

    to: Served | None
    """None: there was none; then nothing serves."""
    remove: tuple[str, ...]
    """Deployments that go when nobody needs them any more."""
    endings: tuple[Ending, ...]
    """None: nothing was rolled back; who should serve is put right."""
    reason: str
    made: bool = False
    """Whether it was deployed again, and so has to pass its smoke test again (invariant C2)."""
    smokes: int = 0
    repairs: int = 0
    tried: tuple[str, ...] = ()
    """Versions that could not be brought back."""


type Course = Rollout | WayBack

# States --------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class UnknownEndpoint:
    """Nobody has asked for anything here."""


@dataclasses.dataclass(frozen=True, slots=True)
class SettledEndpoint:
    """Nothing is under way; for a day it is looked at now and then."""

    book: EndpointBook
    attempt: int
    looks: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class PreparingEndpoint:
    """The endpoint is being made, or found."""

    book: EndpointBook
    course: Course
    attempt: int
    since: datetime.datetime
    checks: int = 0
    tries: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class CreatingDeployment:
    """The deployment is being made, or looked for."""

    book: EndpointBook
    course: Course
    attempt: int
    since: datetime.datetime
    started: bool = False
    """Whether the service has taken the request, or was never asked."""
    checks: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class SmokeTesting:
    """The deployment is sent the model's sample requests; nobody else sends it any."""

    book: EndpointBook
    course: Course
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class ShiftingTraffic:
    """The endpoint is asked to divide its traffic anew, and looked at until it does (invariant C8)."""

    book: EndpointBook
    course: Course
    attempt: int
    wanted: Weights
    since: datetime.datetime
    taken: bool = False
    """Whether the service has answered the request."""
    checks: int = 0
    asks: int = 1
    refused: str = ""
    """Why the request was refused; empty: it was not."""


@dataclasses.dataclass(frozen=True, slots=True)
class WatchingTraffic:
    """A step of the rollout is watched; after the last one, this is the soak."""

    book: EndpointBook
    course: Rollout
    attempt: int
    since: datetime.datetime
    reading: bool = False
    """Whether the weights were as wanted, and the figures are being read."""
    looks: int = 0
    asked: int = 0
    """Sample requests that the looks at this step have sent: they are among the figures, and are nobody's."""


@dataclasses.dataclass(frozen=True, slots=True)
class PausedRollout:
    """The rollout stays where it is until somebody decides."""

    book: EndpointBook
    course: Rollout
    attempt: int
    reason: str
    held: bool
    """Held: until released. Else nothing could be concluded: until released, or until the pause expires."""


@dataclasses.dataclass(frozen=True, slots=True)
class RemovingDeployments:
    """Deployments that nobody needs any more are deleted, one after the other."""

    book: EndpointBook
    attempt: int
    remove: tuple[str, ...]


type Moving = PreparingEndpoint | CreatingDeployment | SmokeTesting | ShiftingTraffic | WatchingTraffic | PausedRollout
type Known = SettledEndpoint | RemovingDeployments | Moving
type State = UnknownEndpoint | Known


def course_of(state: State) -> Course | None:
    """What is under way; None: nothing."""
    match state:
        case UnknownEndpoint() | SettledEndpoint() | RemovingDeployments():
            return None
        case _:
            return state.course
