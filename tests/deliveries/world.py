"""An installation over the fakes, around deliveries: production flows, runner and API; records put where a test wants them."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import itertools
import urllib.parse
from collections.abc import Mapping
from typing import Any, Literal

from tests.fakes import FakeClock, FakeEvidence, FakeQueue, FakeRegistry, FakeSecrets, FakeStore, FakeTests, FakeTopic
from tests.flows import delivery_samples as samples
from tidegate.api.actions import Actions
from tidegate.api.answers import Answer
from tidegate.api.approvals import Approvals
from tidegate.api.deliveries import Deliveries
from tidegate.api.delivery_api import DeliveryApi
from tidegate.api.delivery_requests import Act
from tidegate.composition import CODEC, flows
from tidegate.effects import Effects
from tidegate.errors import NotSignedIn, PermanentError
from tidegate.flows.deliveries.delivery_states import AwaitingApproval, State
from tidegate.flows.endpoints.endpoint_states import EndpointBook, Served
from tidegate.flows.endpoints.endpoint_states import State as EndpointState
from tidegate.flows.models.model_facts import Artefact, Candidate
from tidegate.flows.models.model_gate import ModelGate, Stage
from tidegate.flows.models.record_keys import endpoint_key
from tidegate.gates import Gates, ModelMatch, ModelRule
from tidegate.gates.globs import model_glob
from tidegate.identity import KeyHolder, People, Person, Shown, shown
from tidegate.job_effects import Links
from tidegate.model_effects import ModelEffects
from tidegate.model_ports import RegisteredModel
from tidegate.records import Record, Records, record_id
from tidegate.references import ModelRef
from tidegate.runner import Runner
from tidegate.signed_links import url

SITE = "https://app.example"
ID = record_id(samples.KEY)

_TENANT = "00000000-0000-0000-0000-0000000071de"
PEOPLE = {
    "alice": Person(f"{_TENANT}/a11ce", "Alice", ("Approver.pro",), "token"),
    "bob": Person(f"{_TENANT}/b0b", "Bob", ("Approver.pro",), "token"),
    "carol": Person(f"{_TENANT}/ca401", "Carol", ("Viewer",), "token"),
    "olga": Person(f"{_TENANT}/01ga", "Olga", ("Operator",), "token"),
}
BOT_KEY, CI_KEY = "the-key-of-the-bot", "the-key-without-roles"


class OnePerName:
    """A token is the name of whoever it is of."""

    def verified(self, token: str) -> Person:
        if token not in PEOPLE:
            raise NotSignedIn("token: it is no token of Entra", is_token=True)
        return PEOPLE[token]


class FakeModels:
    """Registered versions with their artefacts, to be described."""

    def __init__(self) -> None:
        self.tags: dict[ModelRef, dict[str, str]] = {}
        self.size = 5 << 20

    def describe(self, model: ModelRef) -> RegisteredModel:
        if model not in self.tags:
            raise PermanentError("404: no such version")
        created = samples.NOW - datetime.timedelta(hours=1)
        return RegisteredModel(model, self.tags[model], {}, "train-1", "registrar", created)

    def artefact(self, model: ModelRef, max_size: int) -> Artefact:
        is_read = not max_size or self.size <= max_size
        return Artefact(samples.SHA if is_read else "", self.size, 3)

    def place(self, *_: object) -> Any:
        raise AssertionError("nothing is placed here")

    file = mark = recent = place


class DeliveryWorld:
    """Deliveries, storage and queue in memory, in virtual time."""

    def __init__(self, gate: ModelGate = samples.GATE) -> None:
        self.clock = FakeClock(samples.NOW + datetime.timedelta(minutes=1))
        self.store = FakeStore()
        self.queue = FakeQueue(self.clock)
        self.evidence = FakeEvidence()
        self.registry = FakeRegistry(self.clock)
        self.models = FakeModels()
        rule = ModelRule(ModelMatch((model_glob("litter*"),)), gate)
        self.models.tags[samples.MODEL] = dict(samples.FACTS.tags) | {
            "metrics.loss": "0.3",
            "data": "litter@4",
            "owner": "vision",
        }
        around = ModelEffects(self.models, {}, Unused(), self.registry, "tidegatehealthy", self.evidence, self.clock)  # type: ignore[arg-type]
        effects = Effects(self.registry, FakeTests(self.clock), self.evidence, FakeTopic(), self.clock, None, around)
        numbers = itertools.count(1)
        records = Records(flows("tidegatehealthy"), self.store, CODEC, self.clock)
        self.runner = Runner(records, self.queue, self.evidence, effects, lambda: f"w{next(numbers)}")
        self.deliveries = Deliveries(Gates((), models=(rule,)), self.runner, self.models, self.clock)
        holders = (KeyHolder("bot", _hash(BOT_KEY), ("Operator",)), KeyHolder("ci", _hash(CI_KEY), ()))
        people = People(OnePerName(), holders, SITE)
        api = DeliveryApi(self.deliveries, effects, ("ml-dev", "ml-int"), lambda: f"r{next(numbers)}")
        self.api = ByPerson(api, people)
        self.links = Links(FakeSecrets({"address": "https://x.logic.azure.com/a?sig=s"}), "address", SITE)
        approvals = Approvals(self.deliveries, people, has_sign_in=True)
        self.actions = Actions(self.runner, self.evidence, self.links, self.clock, approvals)

    def is_at(self, state: State, key: str = samples.KEY) -> None:
        """Put a delivery into a state, and into the list."""
        self._put(key, state)

    def serves(self, stage: Stage, state: EndpointState) -> None:
        """Put a stage's endpoint into a state."""
        self._put(endpoint_key(stage.target), state)

    def _put(self, key: str, state: object) -> None:
        records = self.runner.records
        stored, etag = records.load(key)
        record = Record(state, self.clock.now(), audited=stored.audited)
        records.save(key, record, etag)
        records.list(key, record)

    def state(self, key: str = samples.KEY) -> State:
        return self.deliveries.state(key)

    def endpoint(self, stage: Stage) -> EndpointState:
        return self.deliveries.endpoint(stage)

    @property
    def writes(self) -> int:
        """How often anything was stored or sent."""
        return self.store.called("save") + self.store.called("list_entry") + self.queue.called("send")


@dataclasses.dataclass(frozen=True, slots=True)
class ByPerson:
    """The API as triggers call it: who asks is identified first."""

    api: DeliveryApi
    people: People

    def request(self, body: Any, sender: Shown) -> Answer:
        return self.api.request(body, self.people.identify(sender))

    def decide(self, identity: str, answer: Literal["approve", "reject"], body: Any, sender: Shown) -> Answer:
        return self.api.decide(identity, answer, body, self.people.identify(sender))

    def act(self, identity: str, act: Act, body: Any, sender: Shown) -> Answer:
        return self.api.act(identity, act, body, self.people.identify(sender))


class Unused:
    """Pipelines that nobody starts."""


def by(name: str = "", **headers: str) -> Shown:
    """A request with the token of a person."""
    sent = {"authorization": f"Bearer {name}"} if name else {}
    return shown({**sent, **{header.replace("_", "-"): value for header, value in headers.items()}})


def link(world: DeliveryWorld, stage: str = "pro", key: str = samples.KEY) -> dict[str, str]:
    """The query of a link that a mail about an approval has."""
    address = url(SITE, world.links.key(), "approve", f"{stage}/{key}", world.clock.now())
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))


def champion(candidate: Candidate = samples.CANDIDATE, stage: Stage = samples.PRO, **book: Any) -> EndpointBook:
    """What is remembered of an endpoint where a version serves, and another one did before."""
    before = Served(samples.CHAMPION, "litter-6", stage, "model-delivery:ml-dev/litter:6")
    values: Mapping[str, Any] = {"former": (before,), **book}
    return EndpointBook(stage.target, Served(candidate, "litter-7", stage, samples.KEY), **values)


def _awaiting() -> AwaitingApproval:
    state = samples.STATES["awaiting"]
    assert isinstance(state, AwaitingApproval)
    return state


AWAITING = _awaiting()
"""Two approvals are needed, and nobody has said anything."""


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
