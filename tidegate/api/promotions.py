"""Promotions as people see and ask for them: the list, one promotion with its history, and requests by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tidegate import references
from tidegate.api.retries import Retry, retries
from tidegate.errors import MalformedEvent, NotFound, Refused
from tidegate.events import order_of
from tidegate.flows.base import Request, flow_name
from tidegate.flows.images import tag_ownership
from tidegate.flows.images.image_gate import ImageFacts, ImageGate, unmet
from tidegate.flows.images.image_messages import PromotionRequested
from tidegate.flows.images.image_promotion import NAME, key
from tidegate.flows.images.image_states import Ignored, Rejected, Tagging
from tidegate.gates import Gates
from tidegate.ports import AuditRow, Call, Clock, Evidence, ImageRegistry, ImageTests, Summary
from tidegate.records import Record, record_id
from tidegate.references import ImageRef, TagRef
from tidegate.runner import Runner

MAX_REASON = 500
PAGE = 50
MAX_PAGE = 200
STATES = (
    "Attesting",
    "CopyingReferrers",
    "Errored",
    "Ignored",
    "Importing",
    "Inspecting",
    "Locking",
    "Promoted",
    "Rejected",
    "Superseded",
    "Tagging",
    "Testing",
)
_KEYS = ("repository", "tag", "digest", "reason", "dry_run", "override")


@dataclasses.dataclass(frozen=True, slots=True)
class Wish:
    """A request by hand, checked."""

    repository: str
    tag: str | None
    digest: str | None
    reason: str
    dry_run: bool
    override: bool


def wish(body: object) -> Wish:
    """Check the body of a request by hand. MalformedEvent names the field and the rule."""
    if not isinstance(body, dict):
        raise MalformedEvent("body: must be a JSON object")
    unknown = sorted(set(body) - set(_KEYS))
    if unknown:
        raise MalformedEvent(f"{_line(unknown[0])}: unknown field; allowed are {', '.join(_KEYS)}")
    tag, digest = body.get("tag"), body.get("digest")
    if (tag is None) == (digest is None):
        raise MalformedEvent("tag, digest: exactly one of them must be given")
    reason = body.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise MalformedEvent("reason: missing; say why, it is kept with the promotion")
    if len(reason) > MAX_REASON:
        raise MalformedEvent(f"reason: longer than {MAX_REASON} characters")
    return Wish(
        repository=references.repository(body.get("repository"), "repository"),
        tag=None if tag is None else references.tag(tag, "tag"),
        digest=None if digest is None else references.digest(digest, "digest"),
        reason=_line(reason),
        dry_run=_flag(body, "dry_run"),
        override=_flag(body, "override"),
    )


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise MalformedEvent(f"{name}: must be true or false")
    return value


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()[:MAX_REASON]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What a request would do, in calls, without doing it."""

    image: ImageRef
    gate: ImageGate
    state: str
    """The state of the promotion as it is; `Unseen`: there is none."""
    problems: tuple[str, ...]
    """Requirements the image does not meet."""
    calls: tuple[Call, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Promotion:
    """One promotion with everything known about it."""

    summary: Summary
    state: object
    history: Sequence[AuditRow]
    retries: tuple[Retry, ...]
    """Its own, and of its tags that are not settled."""


@dataclasses.dataclass(frozen=True, slots=True)
class Promotions:
    """The promotions of one installation."""

    staging: str
    healthy: str
    gates: Gates
    runner: Runner
    registry: ImageRegistry
    tests: ImageTests
    evidence: Evidence
    clock: Clock

    def request(self, asked: Wish, who: str, identity: str) -> str:
        """Ask for a promotion; gives its id. NotFound, Refused."""
        image, gate = self._resolved(asked)
        record = key(image, gate)
        self._check_allowed(record, asked)
        now = self.clock.now()
        request = Request(identity, who, asked.reason, now)
        order = order_of(now, identity)
        event = PromotionRequested(image, asked.tag or "", order, gate, request, asked.override)
        self.runner.deliver(record, event)
        self.runner.records.list(record, self.runner.records.load(record)[0])
        return record_id(record)

    def plan(self, asked: Wish) -> Plan:
        """What the request would do. NotFound."""
        image, gate = self._resolved(asked)
        state = self.runner.records.load(key(image, gate))[0].state
        facts = self.registry.inspect(image)
        target = image.within(self.healthy, gate.promote.target(image.repository))
        problems = unmet(gate.require, facts)
        is_image = facts.kind in ("image", "index")
        may_go_on = is_image and (not problems or asked.override)
        calls = self._calls(image, target, gate, asked.tag) if may_go_on else ()
        return Plan(image, gate, type(state).__name__, _shown_problems(facts, problems), calls)

    def _calls(self, image: ImageRef, target: ImageRef, gate: ImageGate, tag: str | None) -> tuple[Call, ...]:
        rules = gate.promote
        calls: list[Call] = []
        if not gate.test.skip:
            calls.append(self.tests.start_call(image, gate.test))
        if not self.registry.exists(target):
            calls.append(self.registry.import_call(image, target))
        if rules.referrers or rules.required_referrers:
            types = ", ".join(dict.fromkeys((*rules.referrers, *rules.required_referrers)))
            calls.append(Call("copy referrers", f"{image} -> {target}", types))
        calls.append(Call("attach record", str(target), "in-toto statement, urn:tidegate:promotion:v1"))
        if tag is not None:
            place = TagRef(target.registry, target.repository, tag)
            named = self.registry.resolve(place)
            calls.append(Call("place tag", str(place), _placing(named, image.digest, rules.tags)))
        if rules.lock_manifest:
            calls.append(Call("lock manifest", str(target), ""))
        return tuple(calls)

    def listed(self, state: str | None, repository: str | None, limit: int, cursor: str | None) -> Any:
        """One page of promotions, newest first, and the cursor of the next. MalformedEvent names the parameter."""
        if state is not None and state not in STATES:
            raise MalformedEvent(f"state: must be one of {', '.join(STATES)}")
        if repository is not None:
            references.repository(repository, "repository")
        if not 1 <= limit <= MAX_PAGE:
            raise MalformedEvent(f"limit: must be 1 to {MAX_PAGE}")
        store = self.runner.records.store
        return store.listed(state=state, repository=repository, limit=limit, cursor=cursor, flow=NAME)

    def one(self, identity: str) -> Promotion:
        """A promotion by its id. NotFound."""
        summary = self.runner.records.store.find(identity)
        if summary is None or flow_name(summary.key) != NAME:
            raise NotFound("there is no promotion with this id")
        record, _ = self.runner.records.load(summary.key)
        history = self.runner.records.store.history(summary.key)
        return Promotion(summary, record.state, history, retries((record, *self._tags(record.state))))

    def _tags(self, state: object) -> Iterator[Record]:
        """The records of the tags that a promotion waits for."""
        if isinstance(state, Tagging):
            target = state.work.target
            for claim in state.work.claims:
                if claim.tag and claim.status == "wanted":
                    place = TagRef(target.registry, target.repository, claim.tag)
                    yield self.runner.records.load(tag_ownership.key(place))[0]

    def log(self, identity: str, limit: int) -> bytes:
        """The end of the kept test log. NotFound."""
        promotion = self.one(identity)
        verdict = getattr(promotion.state, "verdict", None)
        name = f"tests/{promotion.summary.digest.removeprefix('sha256:')}/{verdict.run}.log" if verdict else ""
        data = self.evidence.get(name, limit) if name else None
        if data is None:
            raise NotFound("there is no log: the image was not tested to an end")
        return data

    def _resolved(self, asked: Wish) -> tuple[ImageRef, ImageGate]:
        """Tag to digest, once, at the door; and the gate."""
        gate = self.gates.match(asked.repository, asked.tag)
        if gate is None:
            raise NotFound(f"no gate of gates.yaml matches {asked.repository}{f':{asked.tag}' if asked.tag else ''}")
        digest = asked.digest
        if digest is None:
            digest = self.registry.resolve(TagRef(self.staging, asked.repository, asked.tag or ""))
            if digest is None:
                raise NotFound(f"{self.staging} has no {asked.repository}:{asked.tag}")
        elif not self.registry.exists(ImageRef(self.staging, asked.repository, digest)):
            raise NotFound(f"{self.staging} has no {asked.repository}@{digest}")
        return ImageRef(self.staging, asked.repository, digest), gate

    def _check_allowed(self, record: str, asked: Wish) -> None:
        state = self.runner.records.load(record)[0].state
        match state:
            case Rejected(cause="test" | "requirements" as cause, reason=reason) if not asked.override:
                raise Refused(f"rejected ({cause}: {reason}); promote it all the same with override and a reason")
            case Ignored(reason=reason):
                raise Refused(reason)
            case _:
                pass


def _placing(named: str | None, digest: str, tags: str) -> str:
    match named:
        case None:
            return f"names {digest} from now on"
        case same if same == digest:
            return "names it already: nothing is written"
        case other if tags == "immutable":
            return f"refused: it names {other} and is immutable"
        case other:
            return f"moves from {other} to {digest}"


def _shown_problems(facts: ImageFacts, problems: tuple[str, ...]) -> tuple[str, ...]:
    if facts.kind not in ("image", "index"):
        return (f"not an image: {facts.kind} ({facts.media_type})",)
    return problems
