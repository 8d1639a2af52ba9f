"""The HTTP API of promotions and dead letters without HTTP."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from tidegate.api import promotion_views as views
from tidegate.api.answers import LOG_LIMIT, Answer, number
from tidegate.api.dead_letters import DeadLetters
from tidegate.api.promotions import PAGE, Promotions, wish
from tidegate.identity import OPERATOR, Person, require_role


@dataclasses.dataclass(frozen=True, slots=True)
class PromotionApi:
    """The API of one installation. Errors: see the methods called; the caller turns them into problem details."""

    promotions: Promotions
    dead_letters: DeadLetters
    new_id: Callable[[], str]

    def request_promotion(self, body: Any, person: Person) -> Answer:
        """Ask for a promotion by hand, or for the plan of one. Forbidden: an override without the role."""
        asked = wish(body)
        if asked.dry_run:
            return Answer(views.plan_json(self.promotions.plan(asked)))
        if asked.override:
            require_role(person, (OPERATOR,), "promoting what the gate refused")
        identity = self.promotions.request(asked, person.name, self.new_id())
        location = f"/api/promotions/{identity}"
        return Answer({"id": identity, "href": location}, 202, (("Location", location),))

    def list_promotions(self, query: Mapping[str, str]) -> Answer:
        """One page of promotions, newest first."""
        limit = number(query, "limit", PAGE)
        state, repository = query.get("state"), query.get("repository")
        page, cursor = self.promotions.listed(state, repository, limit, query.get("cursor"))
        return Answer({"items": [views.summary_json(entry) for entry in page], "next": cursor})

    def show_promotion(self, identity: str) -> Answer:
        """One promotion: state, tags, evidence, history."""
        return Answer(views.promotion_json(self.promotions.one(identity)))

    def show_log(self, identity: str) -> Answer:
        """The end of the kept test log, as it was: data, never markup."""
        return Answer(self.promotions.log(identity, LOG_LIMIT))

    def list_dead_letters(self, query: Mapping[str, str]) -> Answer:
        """Events that nobody could take: refused by Event Grid's endpoint, malformed, or given up on."""
        page, cursor = self.dead_letters.listed(number(query, "limit", PAGE), query.get("cursor"))
        return Answer({"items": [views.dead_letter_json(each) for each in page], "next": cursor})

    def show_dead_letter(self, identity: str) -> Answer:
        """One of them."""
        return Answer(views.dead_letter_json(self.dead_letters.one(identity)))

    def replay_dead_letter(self, identity: str, person: Person) -> Answer:
        """Let a dead letter come in once more; it leaves the list when it was taken. Forbidden: without the role."""
        require_role(person, (OPERATOR,), "replaying a dead letter")
        self.dead_letters.replay(identity)
        return Answer({"replayed": identity}, 202)
