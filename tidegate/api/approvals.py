"""The page that a mail about an approval leads to, and what its form does: the link lets read, a verified person decides.

Mail scanners open links, some in a real browser, seconds after a mail was sent. So opening changes nothing however often it
happens, nothing on the page sends itself, and the form's request is worth nothing without a token of a person with the role.
"""

from __future__ import annotations

import dataclasses
import html
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Literal

from tidegate.api import delivery_requests
from tidegate.api.answers import Answer, Page
from tidegate.api.deliveries import Deliveries, DeliveryFound, delivery_of
from tidegate.errors import MalformedEvent, Refused
from tidegate.flows.deliveries import model_delivery
from tidegate.flows.deliveries.delivery_states import AwaitingApproval, Delivery
from tidegate.flows.models.model_screening import in_words
from tidegate.identity import People, Shown

DECIDE = "/api/decisions"
"""Where the form posts to."""
SIGN_IN = "/.auth/login/aad"

type Row = tuple[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Approvals:
    """Approvals by mail in one installation."""

    deliveries: Deliveries
    people: People
    has_sign_in: bool
    """Whether the platform signs people in, as App Service does."""

    def show(self, subject: str, query: Mapping[str, str]) -> Answer:
        """What waits to be decided. Changes nothing. NotFound, MalformedEvent."""
        stage, found = self._subject(subject)
        state = found.state
        if not isinstance(state, AwaitingApproval) or state.stage != stage:
            return _page(_name(found), f"There is nothing to decide for {stage} now.", "".join(_facts(found)))
        heading = f"{_name(found)} waits to go to {stage}"
        people = f"It takes {_people(state)}, until {state.expires:%Y-%m-%d %H:%M} UTC."
        return _page(heading, people, "".join(_facts(found)) + self._form(state, query))

    def take(self, subject: str, form: Mapping[str, str], shown: Shown) -> Answer:
        """Decide on what the form showed. Twice: the second changes nothing, and says so.

        NotSignedIn, Forbidden, Refused, NotFound, MalformedEvent.
        """
        person = self.people.identify(shown)
        answer = _answer(form)
        verdict = delivery_requests.verdict(
            answer, {"reason": form.get("reason", ""), "evidence": form.get("evidence", "")}
        )
        stage, found = self._subject(subject)
        if getattr(found.state, "stage", stage) != stage and not self._is_passed(found, stage):
            raise Refused(f"link: it is about {stage}, and the delivery is elsewhere; a newer mail has a newer link")
        is_new = self.deliveries.decide(found, verdict, person)
        said = "approved" if answer == "approve" else "rejected"
        words = f"You, {person.name}, {said} it{'' if is_new else ' already: nothing more was done'}."
        return _page(_name(found), words, "")

    def _is_passed(self, found: DeliveryFound, stage: str) -> bool:
        delivery = delivery_of(found.state)
        return delivery is not None and any(each.stage == stage for each in delivery.passed)

    def _subject(self, subject: str) -> tuple[str, DeliveryFound]:
        stage, _, key = subject.partition("/")
        if not stage or not key.startswith(f"{model_delivery.NAME}:"):
            raise MalformedEvent("link: not about a delivery")
        return stage, self.deliveries.of(key)

    def _form(self, state: AwaitingApproval, query: Mapping[str, str]) -> str:
        signed = urllib.parse.urlencode({name: query[name] for name in ("subject", "expires", "signature")})
        back = urllib.parse.urlencode({"post_login_redirect_uri": f"/api/actions/approve?{signed}"})
        sign_in = (
            f'<p><a href="{_e(f"{SIGN_IN}?{back}")}">Sign in first</a>, then decide here.</p>'
            if self.has_sign_in
            else ""
        )
        return (
            f'{sign_in}<form method="post" action="{_e(f"{DECIDE}?{signed}")}">'
            f'<input type="hidden" name="evidence" value="{_e(state.evidence)}">'
            f'<p><label>Why? <input name="reason" required maxlength="{delivery_requests.MAX_REASON}" size="60"></label></p>'
            '<p><button name="answer" value="approve">Approve</button> '
            '<button name="answer" value="reject">Reject the version for good</button></p></form>'
        )


def subject(stage: str, key: str) -> str:
    """What a link to an approval is about."""
    return f"{stage}/{key}"


def _answer(form: Mapping[str, str]) -> Literal["approve", "reject"]:
    match form.get("answer"):
        case "approve":
            return "approve"
        case "reject":
            return "reject"
        case _:
            raise MalformedEvent("answer: must be approve or reject")


def _name(found: DeliveryFound) -> str:
    return found.summary.key.partition(":")[2]


def _people(state: AwaitingApproval) -> str:
    rules = state.delivery.stage(state.stage).approval
    if rules is None:
        return "nobody's approval"
    return f"{rules.quorum} of {' or '.join(rules.roles)}, of which {len(state.votes)} approved"


def _facts(found: DeliveryFound) -> Iterator[str]:
    delivery = delivery_of(found.state)
    if delivery is None:
        return
    yield "<table>"
    for label, value in _rows(found, delivery):
        yield f'<tr><th scope="row">{_e(label)}</th><td>{_e(value)}</td></tr>'
    yield "</table>"


def _rows(found: DeliveryFound, delivery: Delivery) -> Iterator[Row]:
    model, state, facts = delivery.model, found.state, delivery.facts
    yield "Model", model.name
    yield "Version", model.version
    yield "Workspace", model.workspace
    if stage := getattr(state, "stage", ""):
        yield "Stage", stage
        yield "Endpoint", delivery.stage(stage).target.endpoint
    if facts is not None:
        champion = dict(delivery.champion.metrics) if delivery.champion else {}
        for name, value in facts.metrics:
            beside = f" (in production: {champion[name]:g})" if name in champion else ""
            yield f"Metric {name}", f"{value:g}{beside}"
        yield "Size", in_words(facts.artefact.size)
        yield "Artefact (SHA-256)", facts.artefact.sha256
        yield "Served by", facts.serving_image
        yield "Made by run", facts.run
        yield "Registered by", facts.registered_by
    for request in delivery.requests[:1] + delivery.requests[1:][-1:]:
        yield "Asked for by", f"{request.who}: {request.why}"
    yield "Gate", f"{delivery.gate.name}, version {delivery.gate.version}"
    if isinstance(state, AwaitingApproval):
        yield "Evidence (SHA-256)", state.evidence
        for vote in state.votes:
            yield "Approved by", f"{vote.who}, {vote.at:%Y-%m-%d %H:%M} UTC: {vote.why}"


def _page(heading: str, words: str, body: str) -> Answer:
    """A page without script; `body` is markup with everything foreign in it escaped."""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Tidegate</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex"></head>'
        f"<body><h1>{_e(heading)}</h1><p>{_e(words)}</p>{body}</body></html>"
    )
    return Answer(Page(text))


def _e(text: str) -> str:
    return html.escape(text)
