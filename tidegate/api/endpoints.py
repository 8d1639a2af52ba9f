"""Who serves where: the endpoints of an installation, with what is under way at each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tidegate.errors import MalformedEvent
from tidegate.flows.endpoints.endpoint_states import Known, Rollout, UnknownEndpoint, course_of
from tidegate.flows.models.record_keys import ENDPOINT
from tidegate.ports import Summary
from tidegate.records import record_id
from tidegate.runner import Runner

STATES = (
    "CreatingDeployment",
    "Empty",
    "Held",
    "PausedRollout",
    "PreparingEndpoint",
    "RemovingDeployments",
    "RollingBack",
    "Serving",
    "ShiftingTraffic",
    "SmokeTesting",
    "Soaking",
    "WatchingTraffic",
)


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointFound:
    """One endpoint."""

    summary: Summary
    state: Known

    @property
    def challenger(self) -> str:
        """The version that is on its way; empty: none is."""
        course = course_of(self.state)
        return course.wish.candidate.name if isinstance(course, Rollout) else ""

    @property
    def delivery(self) -> str:
        """Id of the delivery to look at: of what is on its way, else of what serves; empty: nothing was ever delivered."""
        course, champion = course_of(self.state), self.state.book.champion
        key = course.wish.delivery if isinstance(course, Rollout) else champion.delivery if champion else ""
        return record_id(key) if key else ""


def listed(
    runner: Runner, state: str | None, limit: int, cursor: str | None
) -> tuple[Sequence[EndpointFound], str | None]:
    """One page, the newest first, and the cursor of the next. MalformedEvent names the parameter."""
    if state is not None and state not in STATES:
        raise MalformedEvent(f"state: must be one of {', '.join(STATES)}")
    store = runner.records.store
    page, following = store.listed(state=state, repository=None, limit=limit, cursor=cursor, flow=ENDPOINT)
    found = [(summary, runner.records.load(summary.key)[0].state) for summary in page]
    return [EndpointFound(each, known) for each, known in found if not isinstance(known, UnknownEndpoint)], following  # type: ignore[arg-type]  # the flow of the key has these
