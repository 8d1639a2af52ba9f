"""The HTTP API of deliveries without HTTP: requests as plain values in, answers as plain values out.

Whoever was identified may look and ask; what changes something counts as far as the person's roles go.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from tidegate import references
from tidegate.api import delivery_requests, delivery_views, endpoints
from tidegate.api.answers import Answer, number
from tidegate.api.deliveries import Deliveries
from tidegate.api.delivery_plan import planned
from tidegate.api.delivery_requests import Act
from tidegate.api.promotions import MAX_PAGE, PAGE
from tidegate.errors import MalformedEvent
from tidegate.identity import Person
from tidegate.ports import CarryOut


@dataclasses.dataclass(frozen=True, slots=True)
class DeliveryApi:
    """Deliveries of one installation. Errors: see the methods called; the caller turns them into problem details."""

    deliveries: Deliveries
    effects: CarryOut
    workspaces: tuple[str, ...]
    new_id: Callable[[], str]

    def request(self, body: Any, person: Person) -> Answer:
        """Ask for a delivery by hand, or for the plan of one."""
        asked = delivery_requests.wish(body, self.workspaces)
        if asked.dry_run:
            return Answer(delivery_views.plan_json(planned(self.deliveries, self.effects, asked)))
        identity = self.deliveries.request(asked, person, self.new_id())
        location = f"/api/deliveries/{identity}"
        return Answer({"id": identity, "href": location}, 202, (("Location", location),))

    def list(self, query: Mapping[str, str]) -> Answer:
        """One page of deliveries, newest first."""
        limit = number(query, "limit", PAGE)
        if not 1 <= limit <= MAX_PAGE:
            raise MalformedEvent(f"limit: must be 1 to {MAX_PAGE}")
        model = query.get("model")
        if model is not None:
            references.model(model, "model")
        page, cursor = self.deliveries.listed(query.get("state"), model, limit, query.get("cursor"))
        return Answer({"items": [delivery_views.entry_json(entry) for entry in page], "next": cursor})

    def endpoints(self, query: Mapping[str, str]) -> Answer:
        """One page of endpoints: who serves, and what is under way."""
        limit = number(query, "limit", PAGE)
        if not 1 <= limit <= MAX_PAGE:
            raise MalformedEvent(f"limit: must be 1 to {MAX_PAGE}")
        page, cursor = endpoints.listed(self.deliveries.runner, query.get("state"), limit, query.get("cursor"))
        return Answer({"items": [delivery_views.endpoint_entry_json(each) for each in page], "next": cursor})

    def show(self, identity: str) -> Answer:
        """One delivery: state, stages, what is to be decided, history."""
        return Answer(delivery_views.delivery_json(self.deliveries.one(identity)))

    def record(self, identity: str, stage: str) -> Answer:
        """The kept in-toto statement of a stage that the version has passed, as it is."""
        return Answer(json.loads(self.deliveries.record(self.deliveries.one(identity), stage)))

    def decide(self, identity: str, answer: Literal["approve", "reject"], body: Any, person: Person) -> Answer:
        """A yes or a no. Twice: the second changes nothing and says so."""
        verdict = delivery_requests.verdict(answer, body)
        is_new = self.deliveries.decide(self.deliveries.one(identity), verdict, person)
        return _done(identity, answer, person, {"already": not is_new})

    def act(self, identity: str, act: Act, body: Any, person: Person) -> Answer:
        """Roll back, hold or release. Twice: the second changes nothing."""
        action = delivery_requests.action(act, body)
        stages = self.deliveries.act(self.deliveries.one(identity), action, person)
        return _done(identity, act, person, {"stages": list(stages)})


def _done(identity: str, what: str, person: Person, more: dict[str, Any]) -> Answer:
    return Answer({"id": identity, "done": what, "who": person.name, "person": person.id, **more}, 202)
